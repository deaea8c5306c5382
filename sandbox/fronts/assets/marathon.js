// The registration's behaviour: the card's fields, the total, and one submission at a time.
// Card data is not here: `kura.createToken` answers a token, and the fields are a frame of another origin.

"use strict";

(() => {
  document.getElementById("outcome")?.focus({ preventScroll: true });
  const form = document.getElementById("entry");
  const pay = document.getElementById("pay");
  const problem = document.getElementById("card-problem");
  const label = document.getElementById("pay-label");
  const words = [...label.childNodes];

  form.addEventListener("change", () => {
    const race = form.querySelector("[name=race]:checked");
    document.getElementById("chosen").textContent = race.dataset.title;
    for (const total of document.querySelectorAll("[data-total]")) total.textContent = race.dataset.fee;

  });

  const away = () => {
    problem.textContent = problem.dataset.away;
    pay.disabled = true;
  };
  if (typeof window.Kura !== "function") {
    document.getElementById("card").hidden = true;
    away();
    return;
  }

  const kura = window.Kura(form.dataset.key, { locale: form.dataset.lang });
  const card = kura.card();
  card.on("submit", () => form.requestSubmit());
  card.on("change", () => (problem.textContent = ""));
  card.on("loaderror", away);
  card.mount("#card");

  let busy = false;
  const setBusy = (now) => {
    busy = now;
    pay.setAttribute("aria-disabled", String(now));
    pay.classList.toggle("busy", now);
    if (now) label.textContent = pay.dataset.busy;
    else label.replaceChildren(...words);
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    problem.textContent = "";
    const { token, error } = await kura.createToken(card);
    if (error) {
      // Errors of one field stand at that field already.
      if (!error.param) problem.textContent = error.message;
      setBusy(false);
      return;
    }
    form.elements.token.value = token.id;
    form.submit();
  });

  // Back from the next page out of the browser's memory: this form has been sent, a new one is needed.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
})();
