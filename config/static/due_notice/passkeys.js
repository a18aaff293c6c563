// A button with data-passkey gets a challenge from there, lets the browser ask an authenticator for a passkey, and sends
// its form with the answer.

const Credential = window.PublicKeyCredential;
const TOO_OFTEN = "too often";

async function answerOf(button) {
  const headers = { "X-CSRFToken": button.form.elements.csrfmiddlewaretoken.value };
  const challenge = await fetch(button.dataset.passkey, { method: "POST", headers });
  if (challenge.status === 429) throw new Error(TOO_OFTEN, { cause: await challenge.text() });
  if (!challenge.ok) throw new Error(`no challenge: ${challenge.status}`);
  const { publicKey } = await challenge.json();
  return publicKey.user
    ? navigator.credentials.create({ publicKey: Credential.parseCreationOptionsFromJSON(publicKey) })
    : navigator.credentials.get({ publicKey: Credential.parseRequestOptionsFromJSON(publicKey) });
}

if (Credential?.parseCreationOptionsFromJSON) {
  for (const button of document.querySelectorAll("button[data-passkey]")) {
    const { form, parentElement: part } = button;
    const status = part.querySelector("[role=status]");
    status.textContent = "";
    button.disabled = false;
    button.addEventListener("click", async (event) => {
      event.preventDefault();
      if (!form.reportValidity()) return;
      status.textContent = "";
      button.disabled = true;
      try {
        part.querySelector("[data-credential]").value = JSON.stringify(await answerOf(button));
        form.requestSubmit();
      } catch (error) {
        // Asked for too often, which the answer says; else given up, unknown to the authenticator, or the session is over.
        status.textContent = error.message === TOO_OFTEN ? error.cause : button.dataset.failed;
      }
      button.disabled = false;
    });
  }
}
