# Runs inside the sandbox: base tree, setup, the command, then what is there afterwards.
#   $1 when this run began  $2 age of untouched files  (seconds since 1970)
#   $3 libfaketime, or empty  $4 the moment at which the clock stands still
#   $5 ... descriptors for: setup's errors (6 here), list of files (7), their contents as tar (8), shell state (9)
# Setup and command are files, since `pkill -f` reads the arguments of every process. They are gone before
# either runs, and so is the variable that held them.
eval "exec 6>&$5 $5>&- 7>&$6 $6>&- 8>&$7 $7>&- 9>&$8 $8>&-"
rm -f /.driver
ulimit -HS -c 0 -f 32768 -v 524288 -t 10 -u 40 -n 256
umask 022
mkdir -p -m 1777 /tmp /var/tmp
mkdir -p /etc /home/user /root /var/log /srv /opt /mnt /media /run
echo 'root:x:0:0:root:/root:/bin/bash
user:x:1000:1000:user:/home/user:/bin/bash' >/etc/passwd
echo 'root:x:0:
user:x:1000:' >/etc/group
echo '127.0.0.1 localhost sandbox' >/etc/hosts
echo sandbox >/etc/hostname
printf 'PRETTY_NAME="sandbox"\nID=sandbox\n' >/etc/os-release

clock=()
if [ -n "$3" ]; then
    clock=(LD_PRELOAD="$3" FAKETIME="$4" NO_FAKE_STAT=1 FAKETIME_DONT_FAKE_MONOTONIC=1)
fi

cd /home/user
take='text=$(<"$0"); rm -f "$0"; eval "unset text"$'"'\n'"'"$text"'
env "${clock[@]}" bash -c "trap 'pwd >/run/place' EXIT; $take" /.setup </dev/null >/dev/null 2>&6 6>&- 7>&- 8>&- 9>&- ||
    exit 120
cd -- "$(cat /run/place)" || exit 120
rm /run/place
ours=(-path /proc -o -path /dev -o -path /usr -o -path /bin -o -path /sbin -o -path '/lib*')
find / -xdev \( "${ours[@]}" \) -prune -o -newermt "@$1" -exec touch -h -d "@$2" {} + 2>/dev/null

state='{ pwd; umask; export -p; alias; shopt; set -o; } >&9 2>/dev/null'
env "${clock[@]}" bash -c "trap '$state' EXIT; $take" /.command </dev/null 6>&- 7>&- 8>&-
status=$?
exec >/dev/null 2>&1

ps --ppid 1 -o pid=,ni=,args= | awk -v me=$$ '$1 != me { $1 = ""; print }' >&9
find / -xdev -mindepth 1 \( "${ours[@]}" \) -prune -o -printf '%y\t%m\t%T@\t%p\t%l\0' >&7
find / -mindepth 1 -maxdepth 1 \( "${ours[@]}" \) -prune -o -exec chmod -R u+rwX {} +
# What git has staged and stashed; its index file itself holds times and inodes.
find / -xdev \( "${ours[@]}" \) -prune -o -type d -name .git -print | while read -r folder; do
    git -C "$folder/.." ls-files -s >"$folder/staged"
    git -C "$folder/.." stash list >"$folder/stashed"
done
tar -C / --one-file-system --sort=name --numeric-owner --exclude=./{proc,dev,usr,bin,sbin} --exclude='./lib*' -cf - . >&8
exit $status
