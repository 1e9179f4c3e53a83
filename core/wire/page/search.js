
// Search: any text, over word borders too, without regard to case and accents.

let folded = null; // all words as one text, and where each begins in it
let matches = []; // [first, last] word of each
let match = -1;
let searched = "";

function fold(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

function foldedWords() {
  if (!folded) {
    const texts = transcript.words.map((word) => fold(word.text));
    let at = 0;
    const parts = spaced(texts);
    const begins = parts.map((part, index) => {
      at += part.length;
      return at - texts[index].length;
    });
    folded = { text: parts.join(""), begins };
  }
  return folded;
}

function wordAtOffset(offset) {
  const { begins } = foldedWords();
  let low = 0;
  let high = begins.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (begins[middle] <= offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low - 1;
}

function findAll(query) {
  const wanted = fold(query).replace(/\s+/g, " ").trim();
  const found = [];
  if (!wanted) {
    return found;
  }
  const { text } = foldedWords();
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
    found.push([wordAtOffset(at), wordAtOffset(at + wanted.length - 1)]);
  }
  return found;
}

function eachWord([first, last], change) {
  for (let index = first; index <= last; index += 1) {
    change(wordElements[index].classList);
  }
}

function search() {
  matches.forEach((one) => eachWord(one, (classes) => classes.remove("hit", "current")));
  searched = element("query").value;
  matches = findAll(searched);
  matches.forEach((one) => eachWord(one, (classes) => classes.add("hit")));
  match = -1;
  showHits();
}

function showHits() {
  const isAsked = Boolean(searched.trim());
  const of = match < 0 ? "" : `${match + 1} of `;
  element("hits").textContent = isAsked ? `${of}${matches.length || "none"}` : "";
}

function goToMatch(step) {
  if (!matches.length) {
    return;
  }
  if (match >= 0) {
    eachWord(matches[match], (classes) => classes.remove("current"));
    match = (match + step + matches.length) % matches.length;
  } else {
    match = firstMatch(step);
  }
  eachWord(matches[match], (classes) => classes.add("current"));
  wordElements[matches[match][0]].scrollIntoView({ block: "center" });
  moveCursor(matches[match][0]);
  showHits();
}

// From the cursor on, and around the end.
function firstMatch(step) {
  const after = matches.findIndex(([first]) => first >= cursor);
  const at = after < 0 ? 0 : after;
  return step > 0 ? at : (at - 1 + matches.length) % matches.length;
}

function startSearch() {
  let waiting = 0;
  element("query").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 80);
  });
  element("query").addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      clearTimeout(waiting);
      if (element("query").value !== searched) {
        search();
      }
      goToMatch(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") {
      element("query").value = "";
      search();
      element("query").blur();
    }
  });
  element("before").addEventListener("click", () => goToMatch(-1));
  element("after").addEventListener("click", () => goToMatch(1));
}
