
"use strict";

// Send a recording, show the words as they come, and then the page of the transcript.

const element = (id) => document.getElementById(id);
let request = null;

function show(stage, fraction) {
  element("stage").textContent = stage;
  if (fraction === null) {
    element("progress").removeAttribute("value");
  } else {
    element("progress").value = fraction;
  }
}

function end(message) {
  request = null;
  element("work").hidden = true;
  element("error").textContent = message;
}

function refused(status, text) {
  try {
    end(JSON.parse(text).error.message);
  } catch {
    end(`The server answered with status ${status}.`);
  }
  if (status === 401) {
    element("key").focus();
  }
}

function showPage(html, file) {
  end("");
  const frame = element("page");
  const url = URL.createObjectURL(new Blob([html], { type: "text/html" }));
  frame.hidden = false;
  frame.onload = () => {
    URL.revokeObjectURL(url);
    frame.contentWindow.postMessage(file, "*"); // its origin is nobody's, so that it has no name
  };
  frame.src = url;
}

function hear(event, file) {
  if (event.type === "transcript.text.delta") {
    show("Listening…", null);
    element("words").append(event.delta);
  } else if (event.type === "transcript.text.done") {
    showPage(event.html, file);
  } else if (event.error) {
    end(event.error.message);
  }
}

function transcribe(file) {
  request?.abort();
  element("error").textContent = element("words").textContent = "";
  element("page").hidden = true;
  element("work").hidden = false;
  show(`Sending ${file.name}…`, 0);
  const form = new FormData();
  form.append("response_format", "html");
  form.append("stream", "true");
  form.append("file", file);
  const sent = new XMLHttpRequest();
  let read = 0;
  const readOn = () => {
    const whole = sent.responseText;
    for (let next; request === sent && (next = whole.indexOf("\n\n", read)) >= 0; read = next + 2) {
      const line = whole.slice(read, next);
      if (line.startsWith("data: ")) {
        hear(JSON.parse(line.slice(6)), file);
      }
    }
  };
  sent.open("POST", "v1/audio/transcriptions");
  if (element("key").value) {
    sent.setRequestHeader("Authorization", `Bearer ${element("key").value}`);
  }
  sent.upload.onprogress = (event) => show(`Sending ${file.name}…`, event.loaded / event.total);
  sent.upload.onload = () => show("Waiting for the first words…", null);
  sent.onprogress = () => {
    if (sent.status === 200) {
      readOn();
    }
  };
  sent.onload = () => {
    if (sent.status !== 200) {
      refused(sent.status, sent.responseText);
      return;
    }
    readOn();
    if (request === sent) {
      end("The answer ended too early; try again.");
    }
  };
  sent.onerror = () => end("The server cannot be reached.");
  request = sent;
  sent.send(form);
}

element("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) {
    transcribe(file);
  }
});
element("cancel").addEventListener("click", () => {
  request?.abort();
  end("Cancelled.");
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  element("drop").classList.add("over");
});
document.addEventListener("dragleave", () => element("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  element("drop").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) {
    transcribe(file);
  }
});
element("form").addEventListener("submit", (event) => event.preventDefault());
