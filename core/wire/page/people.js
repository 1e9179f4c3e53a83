
// Names of speakers, and who is the same as whom.

function showPeople() {
  element("speakers").hidden = !transcript.data.speakers.length;
  element("rename-title").value = transcript.data.title;
  const turns = turnsBySpeaker();
  const counts = wordCounts();
  element("speakers").tBodies[0].replaceChildren(
    ...transcript.data.names.map((_, index) => personRow(index, turns.get(index) ?? [], counts[index])),
  );
}

function wordCounts() {
  const counts = transcript.data.names.map(() => 0);
  for (const { first, last, speaker } of transcript.segments) {
    if (speaker !== NOBODY) {
      counts[speakerOf(speaker)] += last - first;
    }
  }
  return counts;
}

function personRow(index, spans, count) {
  const isMerged = speakerOf(index) !== index;
  const row = make("tr", { className: colourOf(speakerOf(index)) });
  const cells = isMerged
    ? [originalName(index), "", ""]
    : [nameInput(index), clock(total(spans)), count.toLocaleString("en")];
  row.append(...[...cells, sameAs(index)].map((content) => make("td", {}, content)));
  return row;
}

function originalName(index) {
  const { names } = transcript.data;
  return isShort(names[index]) ? `Speaker ${names[index]}` : names[index];
}

function nameInput(index) {
  const input = make("input", { type: "text", autocomplete: "off", value: nameOf(index) });
  input.setAttribute("aria-label", `Name of ${shownName(index)}`);
  input.addEventListener("change", () => {
    rename(index, input.value);
    input.value = nameOf(index);
    showNames();
    showTimeline();
    element("speakers").querySelectorAll("select").forEach((select, at) => fillSameAs(select, at));
  });
  return input;
}

function sameAs(index) {
  const select = make("select");
  fillSameAs(select, index);
  select.addEventListener("change", () => {
    const target = Number(select.value);
    if (target === index) {
      separate(index);
    } else {
      merge(index, target);
    }
    showEverything();
    element("speakers").querySelectorAll("select")[index].focus();
    say(target === index ? `${shownName(index)} is a speaker again` : `Merged into ${shownName(target)}`);
  });
  return select;
}

function fillSameAs(select, index) {
  select.setAttribute("aria-label", `${originalName(index)} is the same as`);
  const others = speakers().filter((other) => other !== index);
  select.replaceChildren(
    make("option", { value: String(index), textContent: "–" }),
    ...others.map((other) => make("option", { value: String(other), textContent: shownName(other) })),
  );
  select.value = String(speakerOf(index));
}
