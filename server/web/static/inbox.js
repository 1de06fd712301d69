"use strict";
// Ticks, the count of them, and who signs: remembered in this browser alone.
for (const all of document.querySelectorAll("[data-all]")) {
  const boxes = [...document.querySelectorAll(`input[name="${all.dataset.all}"]`)];
  const told = document.querySelector(`[data-ticked="${all.dataset.all}"]`);
  const count = () => { told.textContent = `已选 ${boxes.filter((b) => b.checked).length} 条`; };
  all.addEventListener("change", () => { boxes.forEach((b) => { b.checked = all.checked; }); count(); });
  boxes.forEach((b) => b.addEventListener("change", count));
}
for (const input of document.querySelectorAll("[data-remember]")) {
  const key = `compound-energy:${input.dataset.remember}`;
  if (!input.value) input.value = localStorage.getItem(key) || "";
  input.addEventListener("change", () => localStorage.setItem(key, input.value));
}
