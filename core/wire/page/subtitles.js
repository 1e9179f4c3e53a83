
// Subtitles as the worker writes them (core/wire/subtitles.py and core/wire/cues.py), with the
// names of now. A test holds both to the same bytes.

const LINE_CHARACTERS = 42;
const LABEL_CHARACTERS = 24;
const CLAUSE_PAUSE_S = 0.2;
const SHORTEST_CUE_MS = 833;
const LONGEST_CUE_MS = 7000;
const NOT_STYLING = { "<": "‹", ">": "›", "{": "(", "}": ")" };

function srt() {
  return cues(labelled)
    .map((cue, index) => {
      const lines = linesOf(labelled(cue.words)).join("\n").replace(/[<>{}]/g, (one) => NOT_STYLING[one]);
      return `${index + 1}\n${stamp(cue.start, ",")} --> ${stamp(cue.end, ",")}\n${lines}\n`;
    })
    .join("\n");
}

function vtt() {
  const blocks = cues(unlabelled).map((cue) => {
    const label = labelOf(cue.words[0].speaker);
    const voice = label ? `<v ${escaped(label)}>` : "";
    const lines = escaped(linesOf(unlabelled(cue.words)).join("\n"));
    return `${stamp(cue.start, ".")} --> ${stamp(cue.end, ".")}\n${voice}${lines}\n`;
  });
  return ["WEBVTT\n", ...blocks].join("\n");
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function stamp(milliseconds, point) {
  const digits = (number, count) => String(number).padStart(count, "0");
  const seconds = Math.floor(milliseconds / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return `${digits(hours, 2)}:${digits(minutes % 60, 2)}:${digits(seconds % 60, 2)}${point}${digits(milliseconds % 1000, 3)}`;
}

function lengthOf(text) {
  return [...text].length;
}

function labelOf(speaker) {
  let characters = [...nameOf(speaker)];
  if (characters.length > LABEL_CHARACTERS) {
    characters = [...characters.slice(0, LABEL_CHARACTERS - 1), "…"];
  }
  const name = characters.join("");
  return isShort(name) ? `Speaker ${name}` : name;
}

const unlabelled = (words) => words.map((word) => word.text);

function labelled(words) {
  const label = labelOf(words[0].speaker);
  return label ? [`${label}:`, ...unlabelled(words)] : unlabelled(words);
}

// One line, or two of lengths as equal as possible.
function linesOf(texts) {
  const parts = spaced(texts);
  const lengths = parts.map(lengthOf);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (total <= LINE_CHARACTERS || texts.length < 2) {
    return [parts.join("")];
  }
  let end = 0;
  let best = { longer: Infinity, count: 1 };
  for (let count = 1; count < texts.length; count += 1) {
    end += lengths[count - 1];
    const longer = Math.max(end, total - end - (parts[count].startsWith(" ") ? 1 : 0));
    if (longer < best.longer) {
      best = { longer, count };
    }
  }
  const [line, next] = [parts.slice(0, best.count), parts.slice(best.count)];
  return [line.join(""), next.join("").replace(/^ +/, "")];
}

function cues(texts) {
  const end = milliseconds(transcript.duration);
  return oneAtATime()
    .flatMap((segments) => {
      const groups = segments.flatMap((segment) => groupsOf(segment, texts));
      return timed(joinShort(groups, end, texts), transcript.data.start, end);
    })
    .sort((one, other) => one.start - other.start);
}

// The segments in lists in each of which nobody speaks in another's midst.
function oneAtATime() {
  if (!transcript.data.split) {
    return [transcript.segments];
  }
  const own = new Map();
  for (const segment of transcript.segments) {
    if (!own.has(segment.speaker)) {
      own.set(segment.speaker, []);
    }
    own.get(segment.speaker).push(segment);
  }
  return [...own.values()];
}

function groupsOf(segment, texts) {
  const words = transcript.words.slice(segment.first, segment.last);
  return readable(words.flatMap((word) => piecesOf(word, speakerOf(segment.speaker))), texts);
}

function piecesOf(word, speaker) {
  const characters = [...word.text];
  const pieces = [];
  for (let first = 0; first < characters.length; first += LINE_CHARACTERS) {
    const after = Math.min(characters.length, first + LINE_CHARACTERS);
    const at = (index) => word.start + ((word.end - word.start) * index) / characters.length;
    const text = characters.slice(first, after).join("").trim();
    pieces.push({ text, start: at(first), end: at(after), speaker });
  }
  return pieces;
}

function readable(words, texts) {
  if (!words.length) {
    return [];
  }
  if (words.length === 1 || fits(words, texts)) {
    return [words];
  }
  const cut = bestCut(words);
  return [...readable(words.slice(0, cut), texts), ...readable(words.slice(cut), texts)];
}

function fits(words, texts) {
  const isShortEnough = words.at(-1).end - words[0].start <= LONGEST_CUE_MS / 1000;
  return isShortEnough && linesOf(texts(words)).every((line) => lengthOf(line) <= LINE_CHARACTERS);
}

function bestCut(words) {
  const count = words.length;
  const quarter = Math.floor(count / 4);
  let best = { rank: -1, distance: 0, cut: 1 };
  for (let cut = Math.max(1, quarter); cut < Math.max(2, count - quarter); cut += 1) {
    const rank = breakOf(words[cut - 1], words[cut]);
    const distance = Math.abs(2 * cut - count);
    if (rank > best.rank || (rank === best.rank && distance < best.distance)) {
      best = { rank, distance, cut };
    }
  }
  return best.cut;
}

function breakOf(word, following) {
  if (/[,;:–—.?!]$/u.test(word.text)) {
    return 2;
  }
  return following.start - word.end >= CLAUSE_PAUSE_S ? 1 : 0;
}

// Halves go to the even neighbour, as in Python.
function milliseconds(seconds) {
  const exact = 1000 * seconds;
  const below = Math.floor(exact);
  const rest = exact - below;
  return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
}

const startOf = (words) => milliseconds(words[0].start);
const endOf = (words) => milliseconds(words.reduce((latest, word) => Math.max(latest, word.end), -Infinity));
const missing = (cue) => Math.max(0, SHORTEST_CUE_MS - (cue.end - cue.start));
const spare = (cue) => Math.max(0, cue.end - cue.start - SHORTEST_CUE_MS);

function joinShort(groups, end, texts) {
  const joined = [];
  let isShortCue = false;
  groups.forEach((group, index) => {
    const following = groups[index + 1];
    const closes = following ? startOf(following) : end;
    const isCramped = Math.max(endOf(group), closes) - startOf(group) < SHORTEST_CUE_MS;
    const last = joined.at(-1);
    const isNear =
      last && last[0].speaker === group[0].speaker && startOf(group) - endOf(last) < SHORTEST_CUE_MS;
    if (isNear && (isShortCue || isCramped) && fits([...last, ...group], texts)) {
      joined[joined.length - 1] = [...last, ...group];
      isShortCue = endOf(joined.at(-1)) - startOf(joined.at(-1)) < SHORTEST_CUE_MS;
    } else {
      joined.push(group);
      isShortCue = isCramped;
    }
  });
  return joined;
}

function timed(groups, begin, end) {
  let free = begin;
  const made = groups.map((words, index) => {
    const following = groups[index + 1];
    const start = Math.max(free, Math.min(startOf(words), end - 1));
    const closes = following ? Math.min(end, startOf(following)) : end;
    free = Math.max(start + 1, Math.min(endOf(words), closes, start + LONGEST_CUE_MS));
    return { start, end: free, words };
  });
  made.forEach((cue, index) => {
    fillSilence(cue, made[index - 1]?.end ?? begin, made[index + 1]?.start ?? end);
    takeFromNeighbours(made[index - 1], cue, made[index + 1]);
  });
  return made;
}

function fillSilence(cue, opens, closes) {
  cue.end += Math.min(missing(cue), Math.max(0, closes - cue.end));
  cue.start -= Math.min(missing(cue), Math.max(0, cue.start - opens));
}

function takeFromNeighbours(before, cue, after) {
  const lacking = missing(cue);
  const spareBefore = before ? spare(before) : 0;
  const spareAfter = after ? spare(after) : 0;
  const first = Math.min(spareBefore, Math.max(Math.floor(lacking / 2), lacking - spareAfter));
  if (before && first) {
    before.end -= first;
    cue.start -= first;
  }
  const second = Math.min(spareAfter, missing(cue));
  if (after && second) {
    after.start += second;
    cue.end += second;
  }
}
