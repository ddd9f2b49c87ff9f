// Keys outside of text fields: Escape stops an answer; a, b, t and n vote on the pair that is shown.
document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const press = (id) => {
        const button = document.getElementById(id);
        if (button && button.offsetParent !== null) { button.click(); event.preventDefault(); }
    };
    if (event.key === "Escape") return press("stop");
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    const votes = { a: "vote-left", b: "vote-right", t: "vote-tie", n: "vote-both_bad" };
    if (votes[event.key] && document.querySelector("#pair .sides")) press(votes[event.key]);
});
