
// The start of the page, and its keyboard.

function showEverything() {
  showTranscript();
  showNames();
  showTimeline();
  showPeople();
  showFacts();
  search();
  current = -1;
  showPosition(now());
  moveCursor(cursor);
}

const KEYS = {
  " ": playOrPause,
  ArrowLeft: () => goTo(Math.max(0, place() - 1)),
  ArrowRight: () => goTo(place() + 1),
  j: () => seek(now() - 5),
  l: () => seek(now() + 5),
  n: () => goTo(blocks[blockOf(place()) + 1]?.first ?? -1),
  p: () => goTo(blocks[blockOf(place()) - 1]?.first ?? -1),
  u: () => goTo(transcript.words.findIndex((word, index) => index > place() && isUncertain(word))),
  "/": () => element("query").focus(),
};

// The word that the keyboard starts from: the cursor, or the one being said.
function place() {
  return cursor >= 0 && audio.paused ? cursor : current;
}

// A field takes every key, the timeline those that scroll it, a button the one that presses it.
function isTakenBy(target, key) {
  const isField = target.closest("input:not([type=checkbox]), select");
  const isScrolled = target.closest("#timeline") && key.startsWith("Arrow");
  return isField || isScrolled || (key === " " && target.closest("button, summary, input"));
}

function onKey(event) {
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
  const act = KEYS[event.key];
  if (act && isPlain && !isTakenBy(event.target, event.key) && element("shortcuts").checked) {
    event.preventDefault();
    act();
  }
}

function start() {
  element("threshold-text").textContent = `${element("threshold").value} %`;
  startPlayer();
  startSearch();
  showEverything();
  element("text").addEventListener("click", (event) => {
    const index = clickedWord(event.target);
    if (index >= 0 && !String(getSelection())) {
      playFrom(index);
    }
  });
  element("lanes").addEventListener("click", onTimelineClick);
  element("zoom").addEventListener("input", showZoom);
  element("threshold").addEventListener("input", showThreshold);
  element("rename-title").addEventListener("change", (event) => {
    retitle(event.target.value);
    showNames();
  });
  element("theme").addEventListener("change", (event) => {
    document.documentElement.dataset.theme = event.target.value;
  });
  element("exports").addEventListener("click", (event) => {
    const { export: kind } = event.target.dataset;
    if (kind) {
      save(kind);
    }
  });
  element("print").addEventListener("click", () => print());
  document.addEventListener("keydown", onKey);
  window.addEventListener("beforeunload", (event) => {
    if (isChanged) {
      event.preventDefault();
    }
  });
}

start();
