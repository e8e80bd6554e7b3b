// Applies the chosen theme before the first paint; the default is the system's.
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? ""
} catch { /* storage is blocked */ }
