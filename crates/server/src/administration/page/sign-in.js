// Signs in: shows the token in a field, as programs do, and gets a cookie.
"use strict";

const form = document.getElementById("sign-in");
const token = document.getElementById("token");
const fault = document.getElementById("fault");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  fault.textContent = "";
  const shown = token.value.trim();
  if (!/^[A-Za-z0-9_-]+$/.test(shown)) {
    fault.textContent = "A token has letters, digits, - and _ only.";
    return;
  }
  try {
    const answer = await fetch("sign-in", { method: "POST", headers: { Authorization: `Bearer ${shown}` } });
    if (answer.ok) {
      location.replace("./");
      return;
    }
    const { error } = await answer.json().catch(() => ({}));
    fault.textContent = answer.status === 401 ? "This is not the token." : error ?? `Status ${answer.status}`;
  } catch {
    fault.textContent = "The server does not answer.";
  }
  token.select();
});
