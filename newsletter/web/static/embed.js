// Lets the form that `newsletter embed` printed answer where it stands. Whatever fails here, the form is sent as it
// would be without this script, and our own page says what to mend.

import { proofFor } from "./proof.js";

const PATIENCE = 15000; // milliseconds for the server's answer

function bodyOf(form, proof) {
  const fields = new FormData(form);
  const body = {
    address: fields.get("address").trim(),
    newsletters: fields.getAll("newsletters"),
    languages: [fields.get("language")],
    page_language: form.lang,
    consent_text: form.querySelector(".newsletter-legal").textContent.replace(/[ \t\r\n]+/g, " ").trim(),
  };
  if (fields.get("frequency")) {
    body.frequency = fields.get("frequency");
  }
  for (const slug of fields.getAll("shown_topics")) {
    body.topics = { ...body.topics, [slug]: fields.getAll(`topics.${slug}`) };
  }
  return proof ? { ...body, proof } : body;
}

async function isTaken(form, say) {
  const proof = await proofFor(form.dataset.challenge, form.elements.address.value, () => say(form.dataset.checking));
  const answer = await fetch(form.dataset.subscriptions, {
    method: "POST",
    mode: "cors",
    credentials: "omit",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(bodyOf(form, proof)),
    signal: AbortSignal.timeout(PATIENCE),
  });
  return answer.status === 202;
}

function enhance(form) {
  const status = form.querySelector(".newsletter-answer");
  const say = (text) => {
    status.textContent = text;
  };
  let isOnItsWay = false;

  const send = async () => {
    try {
      if (!form.elements.remarks.value && (await isTaken(form, say))) {
        form.classList.add("newsletter-taken");
        form.querySelectorAll(".newsletter-field, .newsletter-send").forEach((part) => part.setAttribute("hidden", ""));
        say(form.dataset.taken);
        status.focus();
        return;
      }
    } catch {
      // sent in the other way, below
    }
    HTMLFormElement.prototype.submit.call(form);
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (isOnItsWay) {
      return;
    }
    isOnItsWay = true;
    say(form.dataset.sending);
    send();
  });

  // Who comes back to the page may send it once more.
  addEventListener("pageshow", (event) => {
    if (event.persisted) {
      isOnItsWay = false;
      say("");
    }
  });
}

document.querySelectorAll("form.newsletter-form").forEach(enhance);
