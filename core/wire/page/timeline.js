
// Who speaks when: a lane for each speaker, and one for what several say at once.

const SVG = "http://www.w3.org/2000/svg";

function turnsBySpeaker() {
  const turns = new Map(speakers().map((speaker) => [speaker, []]));
  for (const turn of shownTurns()) {
    const speaker = speakerOf(turn.speaker);
    if (!turns.has(speaker)) {
      turns.set(speaker, []);
    }
    turns.get(speaker).push(turn);
  }
  return new Map([...turns].map(([speaker, spans]) => [speaker, union(spans)]));
}

// Without turns, those of the segments.
function shownTurns() {
  if (transcript.turns.length) {
    return transcript.turns;
  }
  return transcript.segments.map(({ first, last, speaker }) => ({
    speaker,
    start: transcript.words[first].start,
    end: transcript.words[last - 1].end,
  }));
}

function union(spans) {
  const joined = [];
  for (const { start, end } of [...spans].sort((one, other) => one.start - other.start)) {
    const last = joined.at(-1);
    if (last && start <= last.end) {
      last.end = Math.max(last.end, end);
    } else {
      joined.push({ start, end });
    }
  }
  return joined;
}

// The stretches that at least two lanes cover.
function overlaps(lanes) {
  const edges = lanes
    .flat()
    .flatMap(({ start, end }) => [
      [start, 1],
      [end, -1],
    ])
    .sort(([at, step], [otherAt, otherStep]) => at - otherAt || step - otherStep);
  const found = [];
  let speaking = 0;
  let since = 0;
  for (const [at, step] of edges) {
    speaking += step;
    if (step > 0 && speaking === 2) {
      since = at;
    } else if (step < 0 && speaking === 1 && at > since) {
      found.push({ start: since, end: at });
    }
  }
  return found;
}

function total(spans) {
  return spans.reduce((sum, { start, end }) => sum + end - start, 0);
}

function showTimeline() {
  const lanes = turnsBySpeaker();
  const rows = [...lanes].map(([speaker, spans]) => lane(shownName(speaker), colourOf(speaker), spans));
  const both = overlaps([...lanes.values()]);
  if (both.length) {
    rows.push(lane("At once", "nobody", both));
  }
  element("lanes").replaceChildren(...rows, element("needle"));
}

function lane(name, colour, spans) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", `0 0 ${Math.max(transcript.duration, 0.001)} 10`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("role", "img");
  const count = spans.length === 1 ? "once" : `${spans.length} times`;
  drawing.setAttribute("aria-label", `${name}: ${count}, ${clock(total(spans))} in all`);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", spans.map(({ start, end }) => `M${start} 1H${end}V9H${start}Z`).join(""));
  drawing.append(path);
  return make("div", { className: `lane ${colour}` }, make("span", { textContent: name, title: name }), drawing);
}

function onTimelineClick(event) {
  const drawing = event.target.closest("svg");
  if (drawing) {
    const { left, width } = drawing.getBoundingClientRect();
    seek((transcript.duration * (event.clientX - left)) / width);
  }
}

function showZoom() {
  element("lanes").style.width = `${100 * Number(element("zoom").value)}%`;
  keepNeedleInView();
}

// A lane that is wider than its window goes along with the recording.
function keepNeedleInView() {
  const frame = element("timeline");
  if (frame.scrollWidth <= frame.clientWidth) {
    return;
  }
  const at = element("needle").offsetLeft;
  const left = at - frame.scrollLeft;
  if (left < frame.querySelector(".lane > span").offsetWidth || left > frame.clientWidth) {
    frame.scrollLeft = at - frame.clientWidth / 2;
  }
}
