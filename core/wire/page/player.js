
// The recording: chosen from the disk, by URL, or handed over by the window that holds this page.

const audio = element("audio");
const CANNOT_PLAY = "This browser cannot play that recording.";
const CHOOSE = "press “Recording…”, or drop the file onto this page.";
let position = 0; // seconds, as they were last shown
let isOpen = false; // the recording has begun to be read, and went to that position
let isBeside = false; // the recording is the one that should lie beside this page
let current = -1; // the word that is being said
let cursor = -1; // the word that the keyboard is at

const hasRecording = () => Boolean(audio.currentSrc) && !(isBeside && audio.error);
const now = () => (isOpen ? audio.currentTime : position);

function say(text) {
  element("status").textContent = text;
}

function seek(time) {
  const at = Math.min(Math.max(0, time), transcript.duration);
  if (hasRecording()) {
    audio.currentTime = at;
  }
  showPosition(at);
}

function playFrom(index) {
  seek(transcript.words[index].start);
  moveCursor(index);
  play();
}

function play() {
  if (!hasRecording() && !openBeside()) {
    say(`Choose the recording to hear it: ${CHOOSE}`);
    return;
  }
  audio.play().catch(() => {
    if (hasRecording()) {
      say(CANNOT_PLAY);
    }
  });
}

function playOrPause() {
  if (audio.paused) {
    play();
  } else {
    audio.pause();
  }
}

function openFile(file) {
  openSource(URL.createObjectURL(file), file.name || "the recording");
}

function openUrl(text) {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url && /^https?:$/.test(url.protocol)) {
    openSource(url.href, "the recording");
  } else {
    say("Give a URL that begins with https:// (or http://).");
  }
}

// A page that lies beside its recording knows the way, which leads nowhere else.
function openBeside() {
  const { recording } = transcript.data;
  if (!recording || !URL.canParse(recording, document.baseURI)) {
    return false;
  }
  const url = new URL(recording, document.baseURI);
  if (url.protocol !== location.protocol || url.host !== location.host) {
    return false;
  }
  openSource(url.href, "the recording beside this page", true);
  return true;
}

function onError() {
  audio.pause(); // some browsers go on waiting
  if (isBeside) {
    tellWhatIsBeside(audio.error);
  } else {
    say(CANNOT_PLAY);
  }
}

// A recording that is not there and one that cannot be played differ only in the browser's message,
// and each browser has its own. So a name that nobody has is opened, to compare the messages.
function tellWhatIsBeside({ code, message }) {
  const source = audio.src;
  const nothing = new Audio(new URL("no-such-recording", source).href);
  nothing.addEventListener("error", ({ target: { error } }) => {
    const isMissing = error.code === code && error.message === message;
    if (audio.src === source && audio.error) {
      say(isMissing ? `The recording is not beside this page: ${CHOOSE}` : CANNOT_PLAY);
    }
  });
}

function openSource(source, name, beside = false) {
  if (audio.src.startsWith("blob:")) {
    URL.revokeObjectURL(audio.src);
  }
  isOpen = false;
  isBeside = beside;
  audio.src = source;
  say(`Opened ${name}.`);
}

function showPosition(time) {
  position = time;
  element("clock").textContent = `${clock(time)} / ${clock(transcript.duration)}`;
  element("seek").value = String(Math.round(1000 * time));
  element("seek").setAttribute("aria-valuetext", clock(time));
  element("lanes").style.setProperty("--at", String(time / Math.max(transcript.duration, 0.001)));
  const index = wordAt(time);
  if (index === current) {
    return;
  }
  wordElements[current]?.classList.remove("now");
  wordElements[index]?.classList.add("now");
  current = index;
  keepNeedleInView();
  if (!audio.paused && element("follow").checked) {
    keepInView(wordElements[index]);
  }
}

function keepInView(shown) {
  if (!shown) {
    return;
  }
  const { top, bottom } = shown.getBoundingClientRect();
  const height = document.documentElement.clientHeight;
  if (top < 0.15 * height || bottom > 0.85 * height) {
    shown.scrollIntoView({ block: "center" });
  }
}

function followPlayback() {
  showPosition(now());
  if (!audio.paused) {
    requestAnimationFrame(followPlayback);
  }
}

function moveCursor(index) {
  if (index < 0 || index >= transcript.words.length) {
    return;
  }
  wordElements[cursor]?.classList.remove("cursor");
  cursor = index;
  wordElements[cursor].classList.add("cursor");
}

// Go to a word by the keyboard, and say it for who cannot see it.
function goTo(index) {
  if (index < 0 || index >= transcript.words.length) {
    return;
  }
  moveCursor(index);
  seek(transcript.words[index].start);
  keepInView(wordElements[index]);
  const { text, confidence } = transcript.words[index];
  const isLow = isUncertain(transcript.words[index]);
  element("spoken").textContent = isLow ? `${text} (${Math.round(100 * confidence)} % certain)` : text;
}

function startPlayer() {
  element("seek").max = String(Math.round(1000 * transcript.duration));
  element("seek").addEventListener("input", () => seek(Number(element("seek").value) / 1000));
  element("play").addEventListener("click", playOrPause);
  element("rate").addEventListener("change", () => {
    audio.defaultPlaybackRate = audio.playbackRate = Number(element("rate").value);
  });
  element("file").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) {
      openFile(file);
    }
  });
  element("open-url").addEventListener("click", () => openUrl(element("url").value));
  audio.addEventListener("play", () => showPlaying(true));
  audio.addEventListener("pause", () => showPlaying(false));
  audio.addEventListener("loadedmetadata", () => {
    isOpen = true;
    seek(position);
  });
  audio.addEventListener("seeked", () => showPosition(audio.currentTime));
  audio.addEventListener("error", onError);
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", onDrop);
  window.addEventListener("message", onMessage);
}

function showPlaying(isPlaying) {
  element("play").textContent = isPlaying ? "Pause" : "Play";
  element("play").setAttribute("aria-pressed", String(isPlaying));
  if (isPlaying) {
    followPlayback();
  }
}

function onDrop(event) {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) {
    openFile(file);
  }
}

// A server's page that shows this one in a frame has the file already.
function onMessage(event) {
  if (event.source === window.parent && event.data instanceof Blob) {
    openFile(event.data);
  }
}
