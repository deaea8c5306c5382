// The passkey step: asks the browser for a passkey and sends its answer with the page's own form. The one script of the
// console. It builds no markup, and what it shows comes from the page.

const form = document.querySelector("form[data-passkey]");
const button = form.querySelector("button");
const notice = form.querySelector(".notice");

const say = (text, isProblem) => {
  notice.textContent = text;
  notice.classList.toggle("bad", isProblem);
  notice.hidden = false;
};

const toBytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

const toText = (buffer) =>
  btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

// Browsers before 2024 can't read and write the JSON form of WebAuthn level 3 themselves.
const readable = (list) => list?.map((item) => ({ ...item, id: toBytes(item.id) }));

const creationOptions = (json) =>
  PublicKeyCredential.parseCreationOptionsFromJSON?.(json) ?? {
    ...json,
    challenge: toBytes(json.challenge),
    user: { ...json.user, id: toBytes(json.user.id) },
    excludeCredentials: readable(json.excludeCredentials),
  };

const requestOptions = (json) =>
  PublicKeyCredential.parseRequestOptionsFromJSON?.(json) ?? {
    ...json,
    challenge: toBytes(json.challenge),
    allowCredentials: readable(json.allowCredentials),
  };

const answerJson = (credential) => {
  const { response } = credential;
  const fields = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  const written = fields.filter((field) => response[field]).map((field) => [field, toText(response[field])]);
  return {
    id: credential.id,
    rawId: toText(credential.rawId),
    type: credential.type,
    response: { ...Object.fromEntries(written), transports: response.getTransports?.() },
    clientExtensionResults: {},
  };
};

const ask = (options) =>
  form.dataset.passkey === "create"
    ? navigator.credentials.create({ publicKey: creationOptions(options) })
    : navigator.credentials.get({ publicKey: requestOptions(options) });

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  say(form.dataset.working, false);
  try {
    const credential = await ask(JSON.parse(form.dataset.options).publicKey);
    form.elements.credential.value = JSON.stringify(answerJson(credential));
    form.submit();
  } catch {
    say(form.dataset.cancelled, true);
    button.disabled = false;
    button.focus();
  }
});

if (globalThis.PublicKeyCredential && navigator.credentials) {
  button.disabled = false;
  button.focus();
} else {
  say(form.dataset.unsupported, true);
}
