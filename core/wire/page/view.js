
// The transcript on screen: paragraphs of one speaker each, one element for each word.

const LONG_PAUSE_S = 2;
const PARAGRAPH_WORDS = 80;

let wordElements = [];
let blocks = [];

function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

function colourOf(speaker) {
  return speaker === NOBODY ? "nobody" : `s${speaker % 8}`;
}

function showTranscript() {
  const { words } = transcript;
  wordElements = new Array(words.length);
  blocks = paragraphs();
  let speakerBefore;
  element("text").replaceChildren(
    ...blocks.map((block) => {
      const made = blockElement(block, block.speaker !== speakerBefore);
      speakerBefore = block.speaker;
      return made;
    }),
  );
  if (!words.length) {
    element("text").append(make("p", { textContent: "Nothing was said." }));
  }
}

// Segments of one speaker, until a long pause or until there is enough for one paragraph.
function paragraphs() {
  const made = [];
  for (const { first, last, speaker: original } of transcript.segments) {
    const speaker = speakerOf(original);
    const current = made.at(-1);
    const follows =
      current &&
      current.speaker === speaker &&
      current.last - current.first < PARAGRAPH_WORDS &&
      transcript.words[first].pause < LONG_PAUSE_S;
    if (follows) {
      current.last = last;
    } else {
      made.push({ first, last, speaker });
    }
  }
  return made;
}

function blockElement(block, isNewSpeaker) {
  const { first, last, speaker } = block;
  const start = clock(transcript.words[first].start);
  const play = make("button", { type: "button", className: "at", textContent: start });
  play.setAttribute("aria-label", `Play from ${start}`);
  const text = make("p", { dir: "auto" }, play);
  if (transcript.data.language) {
    text.lang = transcript.data.language;
  }
  for (let index = first; index < last; index += 1) {
    appendWord(text, index);
  }
  block.element = make("div", { className: `block ${colourOf(speaker)}` });
  if (transcript.data.diarized && isNewSpeaker) {
    block.element.append(make("h3", { textContent: shownName(speaker), dir: "auto" }));
  }
  block.element.append(text);
  return block.element;
}

function appendWord(text, index) {
  const word = transcript.words[index];
  const { pause } = word;
  if (pause >= LONG_PAUSE_S) {
    text.append(make("span", { className: "gap", lang: "en", textContent: `[pause ${pause.toFixed(0)} s]` }), " ");
  }
  const shown = make("span", { className: classOf(word), textContent: word.text });
  wordElements[index] = shown;
  const following = transcript.words[index + 1];
  text.append(shown, following && meet(word.text, following.text) ? "" : " ");
}

function classOf(word) {
  return `w${isUncertain(word) ? " low" : ""}${word.overlap ? " over" : ""}${word.nearest ? " near" : ""}`;
}

function isUncertain(word) {
  return word.confidence !== null && 100 * word.confidence < Number(element("threshold").value);
}

function showThreshold() {
  element("threshold-text").textContent = `${element("threshold").value} %`;
  transcript.words.forEach((word, index) => {
    wordElements[index].classList.toggle("low", isUncertain(word));
  });
}

function showNames() {
  const { title } = transcript.data;
  element("title").textContent = title || "Transcript";
  document.title = title || "Transcript";
  for (const { element: shown, speaker } of blocks) {
    const heading = shown.querySelector("h3");
    if (heading) {
      heading.textContent = shownName(speaker);
    }
  }
}

function blockOf(index) {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (blocks[middle].first <= index) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low - 1;
}

// The word that was clicked, or the first of the paragraph whose button was; -1 for anything else.
function clickedWord(target) {
  const shown = target.closest(".block");
  const block = blocks.find((one) => one.element === shown);
  if (!block) {
    return -1;
  }
  if (target.closest(".at")) {
    return block.first;
  }
  const word = target.closest(".w");
  return word ? wordElements.indexOf(word, block.first) : -1;
}

function showFacts() {
  const { data, words, duration } = transcript;
  const count = speakers().length;
  const facts = [clock(duration), `${words.length.toLocaleString("en")} words`];
  if (data.diarized) {
    facts.push(count === 1 ? "1 speaker" : `${count} speakers`);
  }
  if (data.language) {
    facts.push(data.language);
  }
  element("facts").textContent = facts.join(" · ");
  element("warnings").hidden = !data.warnings.length;
  element("warnings").replaceChildren(...data.warnings.map((text) => make("li", { textContent: text })));
}
