for (const head of document.querySelectorAll("th")) {
  head.querySelector("button").addEventListener("click", () => {
    const body = head.closest("table").tBodies[0];
    const place = head.cellIndex;
    const down = head.getAttribute("aria-sort") === "ascending";
    const numbers = head.classList.contains("n");
    const key = (row) => row.cells[place].textContent;
    const compare = numbers
      ? (a, b) => (key(a) === "" ? -Infinity : Number(key(a))) - (key(b) === "" ? -Infinity : Number(key(b))) || 0
      : (a, b) => key(a).localeCompare(key(b), undefined, { numeric: true });
    for (const other of head.parentNode.cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...body.rows].sort(down ? (a, b) => compare(b, a) : compare);
    body.append(...rows);
  });
}
