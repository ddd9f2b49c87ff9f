# A small home directory, for commands that come without a setup of their own.
mkdir -p documents/reports projects/app/src logs backup 'old files' .config
printf 'alpha\nbeta\ngamma\nbeta\ndelta\nAlpha\n' >notes.txt
printf 'zebra 3\napple 10\nmango 2\napple 1\n' >fruits.txt
printf 'id,name,city,amount\n1,Ada,London,30\n2,Linus,Helsinki,5\n3,Grace,New York,120\n4,Ada,Paris,7\n' >data.csv
printf '{"name": "app", "version": "1.2.0", "tags": ["a", "b"]}\n' >config.json
printf '#!/bin/bash\necho "hello $1"\n' >run.sh && chmod 755 run.sh
printf '# a comment\nport=8080\n\nhost=example.org\n#debug=1\n' >.config/app.conf
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    level=INFO
    [ $((i % 4)) = 0 ] && level=ERROR
    echo "2026-01-$((i + 2)) 10:0$((i % 10)) $level request $i took $((i * 7)) ms"
done >logs/app.log
printf '10.0.0.1 GET /index.html 200\n10.0.0.2 GET /missing 404\n10.0.0.1 POST /login 500\n' >logs/access.log
printf 'first report\nTODO check the numbers\n' >documents/reports/january.md
printf 'second report\n' >documents/reports/february.md
printf 'int main(void) { return 0; } /* TODO */\n' >projects/app/src/main.c
printf '#include <stdio.h>\n' >projects/app/src/util.c
printf 'all:\n\tcc -o app src/main.c\n' >projects/app/Makefile
printf 'keep\n' >backup/keep.bak
printf 'spaces\n' >'old files/my letter.txt'
: >empty.txt
head -c 20000 /dev/zero | tr '\0' x >backup/big.bin
ln -s notes.txt latest
touch -d '40 days ago' backup/big.bin documents/reports/february.md
touch -d '3 days ago' logs/access.log
chmod 600 .config/app.conf
