
"use strict";
// The transcript, and what its reader has changed: names, merged speakers, the title.

const NOBODY = -1;
const element = (id) => document.getElementById(id);

// As the file was: nothing has been built yet. The saved page is made of these two.
const [pageBefore, pageAfter] = document.documentElement.outerHTML.split(
  element("data").textContent,
);
const transcript = readTranscript(JSON.parse(element("data").textContent));

// A share of 1 from thousandths; null stays.
function share(thousandths) {
  return thousandths === null ? null : thousandths / 1000;
}

// Times in the file are milliseconds: each word's distance from the end of the one before, and its
// length. Here they are seconds, the numbers that the worker had. If channels are speakers, words
// are not in order of time: a pause is the time since anybody's last word.
function readTranscript(data) {
  const { text, gap, length, confidence } = data.words;
  const overlapped = new Set(data.words.overlap);
  const nearest = new Set(data.words.nearest);
  let at = 0;
  let latest = 0;
  const words = text.map((shown, index) => {
    const start = at + gap[index];
    const pause = start - latest;
    at = start + length[index];
    latest = Math.max(latest, at);
    return {
      text: shown,
      start: start / 1000,
      end: at / 1000,
      pause: pause / 1000,
      confidence: share(confidence[index]),
      overlap: overlapped.has(index),
      nearest: nearest.has(index),
    };
  });
  let first = 0;
  const segments = data.segments.map(([count, speaker]) => {
    const segment = { first, last: first + count, speaker };
    first += count;
    return segment;
  });
  const turns = data.turns.map(([speaker, start, end]) => ({
    speaker,
    start: start / 1000,
    end: end / 1000,
  }));
  const inTime = [...words.keys()].sort((one, other) => words[one].start - words[other].start);
  return { data, words, inTime, segments, turns, duration: data.duration / 1000 };
}

function speakerOf(index) {
  return index === NOBODY ? NOBODY : transcript.data.into[index];
}

function speakers() {
  return transcript.data.names.map((_, index) => index).filter((index) => speakerOf(index) === index);
}

function nameOf(index) {
  return index === NOBODY ? "" : transcript.data.names[speakerOf(index)];
}

function isShort(name) {
  return /^\p{Nd}+$/u.test(name) || [...name].length === 1;
}

function shownName(index) {
  if (index === NOBODY) {
    return transcript.data.diarized ? "Nobody" : "Speech";
  }
  const name = nameOf(index) || "Nameless";
  return isShort(name) ? `Speaker ${name}` : name;
}

function rename(index, name) {
  const line = oneLine(name);
  transcript.data.names[index] = line || transcript.data.speakers[index];
  isChanged = true;
}

// Every speaker who was the same as this one is the same as that one too.
function merge(index, target) {
  const { into } = transcript.data;
  into.forEach((other, at) => {
    if (other === index) {
      into[at] = target;
    }
  });
  isChanged = true;
}

function separate(index) {
  transcript.data.into[index] = index;
  isChanged = true;
}

function retitle(title) {
  transcript.data.title = oneLine(title);
  isChanged = true;
}

let isChanged = false;

function oneLine(text) {
  return text
    .replace(/[^\S\n]|[\n\x1c-\x1f\x85]/gu, " ")
    .replace(/[\p{Cc}\p{Cs}]/gu, "")
    .replace(/ +/g, " ")
    .trim();
}

// The scripts that are written without blanks, as in core/domain/writing.py.
const UNSPACED =
  /[\u0e00-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uff65\u{20000}-\u{3ffff}]/u;

function meet(before, after) {
  const [last, first] = [[...before].at(-1) ?? "", [...after][0] ?? ""];
  return UNSPACED.test(last) && UNSPACED.test(first);
}

// Texts, each with the blank before it if there is one.
function spaced(texts) {
  return texts.map((text, index) => (!index || meet(texts[index - 1], text) ? text : ` ${text}`));
}

function textOf(words) {
  return spaced(words.map((word) => word.text)).join("");
}

// No text can end the element that holds it, nor break the line.
function dataText() {
  return JSON.stringify(transcript.data).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function savedPage() {
  return `<!doctype html>\n${pageBefore}${dataText()}${pageAfter}`;
}

// The last word that has begun; -1 before the first.
function wordAt(time) {
  let low = 0;
  let high = transcript.inTime.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (transcript.words[transcript.inTime[middle]].start <= time) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return transcript.inTime[low - 1] ?? -1;
}

function clock(time) {
  const whole = Math.max(0, Math.floor(time));
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  const rest = `${two(whole % 60)}`;
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${rest}`;
}
