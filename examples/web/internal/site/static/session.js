// Pages that stay open renew the session's cookies before they expire, so that a form can
// be sent after a while. Where somebody has signed out in another tab, what is shown here
// is removed: the page is requested again.
"use strict";
let renewed = Date.now();

async function renew() {
  const response = await fetch("/session", { cache: "no-store" });
  renewed = Date.now();
  if (response.status === 401) location.reload();
}

setInterval(() => document.hidden || renew().catch(() => {}), 45_000);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && Date.now() - renewed > 5_000) renew().catch(() => {});
});
