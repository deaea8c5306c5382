// The custodian's form: checks the share, seals it, and sends the box with the page's own form. The field that the share is
// typed into has no name, so no form can send it. Builds no markup; what it shows comes from the page.

import { canonical, place, ShareProblem } from "./share";
import { type Purpose, sealShare, type SignedKeySet, trustedKey, Untrusted } from "./seal";

const form = document.querySelector<HTMLFormElement>("form[data-custody]");
const field = form?.querySelector("textarea");
const button = form?.querySelector("button");
const notice = form?.querySelector<HTMLElement>(".notice");

/** One of the page's texts; `{n}` is a number. */
function text(data: DOMStringMap, name: string, n?: number): string {
  return (data[name] ?? "").replace("{n}", String(n ?? ""));
}

function start(form: HTMLFormElement, field: HTMLTextAreaElement, button: HTMLButtonElement, notice: HTMLElement): void {
  const say = (words: string, isProblem: boolean) => {
    notice.textContent = words;
    notice.classList.toggle("bad", isProblem);
    notice.hidden = false;
  };

  const tell = (error: unknown) => {
    if (error instanceof ShareProblem) {
      say(text(form.dataset, error.problem, error.group), true);
      field.focus();
      const named = ["letter", "mistyped", "group_length"].includes(error.problem) && error.group !== undefined;
      if (named) field.setSelectionRange(...place(field.value, error.group ?? 1));
    } else {
      say(text(form.dataset, error instanceof Untrusted ? "untrusted" : "failed"), true);
    }
  };

  const seal = async () => {
    const share = await canonical(field.value);
    const keys = JSON.parse(form.dataset["keys"] ?? "{}") as SignedKeySet;
    const key = await trustedKey(keys, form.dataset["identity"] ?? "");
    return sealShare(share, key, form.dataset["custody"] as Purpose);
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    button.disabled = true;
    say(text(form.dataset, "working"), false);
    seal().then(
      (box) => {
        field.value = "";
        (form.elements.namedItem("sealed") as HTMLInputElement).value = box;
        form.submit();
      },
      (error: unknown) => {
        tell(error);
        button.disabled = false;
      },
    );
  });
  button.disabled = false;
}

if (form && field && button && notice) start(form, field, button, notice);
