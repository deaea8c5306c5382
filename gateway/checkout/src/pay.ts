// The hosted checkout page: mounts the card's frame, and sends its token with the form. What to say is in the page already, in the
// shopper's language; what the server says of a refusal is put in as text.

interface Card {
  mount(target: string): Card;
  clear(): void;
  focus(): void;
  on(name: "submit", handler: () => void): Card;
}

interface Made {
  readonly token?: { readonly id: string };
  readonly error?: { readonly message: string };
}

interface Script {
  card(): Card;
  createToken(card: Card): Promise<Made>;
}

interface Answer {
  readonly redirect?: string;
  readonly error?: { readonly message: string };
}

const form = document.querySelector<HTMLFormElement>("#form");
if (form) start(form);

function start(form: HTMLFormElement): void {
  const { key, action } = form.dataset;
  if (key === undefined || action === undefined) return;
  const kura = (window as unknown as { Kura: (key: string) => Script }).Kura(key);
  const card = kura.card().mount("#card");
  const button = form.querySelector<HTMLButtonElement>("#pay");
  const email = form.querySelector<HTMLInputElement>("#email");
  const error = form.querySelector<HTMLElement>("#error");
  const words = (id: string): string => document.getElementById(id)?.textContent ?? "";

  const say = (text: string): void => {
    if (!error) return;
    error.textContent = text;
    error.hidden = text === "";
  };
  const busy = (is: boolean): void => {
    if (!button) return;
    button.disabled = is;
    button.setAttribute("aria-busy", String(is));
  };

  const submit = async (): Promise<void> => {
    if (button?.disabled) return;
    say("");
    if (email && !email.checkValidity()) {
      say(words("missing-email"));
      email.focus();
      return;
    }
    busy(true);
    const made = await kura.createToken(card);
    if (!made.token) {
      busy(false);
      say(made.error?.message ?? words("no-connection"));
      card.focus();
      return;
    }
    try {
      const sent = { token: made.token.id, ...(email ? { email: email.value } : {}) };
      const answer = await fetch(action, {
        method: "POST",
        headers: { "content-type": "application/json", "content-language": document.documentElement.lang },
        body: JSON.stringify(sent),
      });
      const { redirect, error: refused } = (await answer.json()) as Answer;
      if (redirect !== undefined) {
        window.location.assign(redirect);
        return;
      }
      say(refused?.message ?? words("no-connection"));
    } catch {
      say(words("no-connection"));
    }
    card.clear();
    busy(false);
  };

  card.on("submit", () => void submit());
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void submit();
  });
}

export {};
