
// What the reader takes away.

const EXPORTS = {
  html: { make: savedPage, type: "text/html" },
  srt: { make: srt, type: "application/x-subrip" },
  vtt: { make: vtt, type: "text/vtt" },
  txt: { make: plainText, type: "text/plain" },
  json: { make: asJson, type: "application/json" },
};

// A paragraph for each, with its speaker in front of the first of each speaker's.
function plainText() {
  let before;
  return blocks
    .map(({ first, last, speaker }) => {
      const text = textOf(transcript.words.slice(first, last));
      const name = transcript.data.diarized && speaker !== before ? `${shownName(speaker)}: ` : "";
      before = speaker;
      return `${name}${text}\n`;
    })
    .join("\n");
}

function asJson() {
  const { data, words, duration } = transcript;
  const spoken = transcript.segments.map(({ first, last, speaker }) => ({
    start: words[first].start,
    end: Math.max(...words.slice(first, last).map((word) => word.end)),
    ...(data.diarized ? { speaker: nameOf(speaker) || null } : {}),
    text: textOf(words.slice(first, last)),
  }));
  const said = transcript.segments.flatMap(({ first, last, speaker }) =>
    words.slice(first, last).map((word) => jsonWord(word, speaker)),
  );
  const answer = {
    success: true,
    version: data.version,
    text: textOf(words),
    language: data.language,
    language_confidence: share(data.language_confidence),
    duration,
    coverage: share(data.coverage),
    warnings: data.warnings,
    ...(data.diarized ? { num_speakers: speakers().length } : {}),
    segments: spoken,
    words: data.split ? transcript.inTime.map((index) => said[index]) : said,
  };
  return `${JSON.stringify(answer, null, 2)}\n`;
}

function jsonWord(word, speaker) {
  const { text, start, end, confidence, overlap, nearest } = word;
  const said = { word: text, start, end, confidence };
  if (!transcript.data.diarized) {
    return said;
  }
  return { ...said, speaker: nameOf(speaker) || null, overlap, nearest };
}

function exported(kind) {
  return EXPORTS[kind].make();
}

function save(kind) {
  const url = URL.createObjectURL(new Blob([exported(kind)], { type: EXPORTS[kind].type }));
  const name = transcript.data.title.replace(/[\\/:*?"<>|]+/g, "_") || "transcript";
  make("a", { href: url, download: `${name}.${kind}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  if (kind === "html") {
    isChanged = false;
  }
}
