// The theme that was chosen here, before anything is painted. Without a choice it is that of the system.
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? ""
} catch { /* no storage, no choice */ }
