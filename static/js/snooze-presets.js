// Snooze presets, in the viewer's time zone.

const at = (day, hour) => new Date(day.getFullYear(), day.getMonth(), day.getDate(), hour)
const later = (day, days) => new Date(day.getFullYear(), day.getMonth(), day.getDate() + days)

export function presets(now = new Date()) {
  const evening = at(now, 18)
  return {
    hour: new Date(now.getTime() + 3_600_000),
    // Omitted from half an hour before.
    evening: evening - now > 1_800_000 ? evening : undefined,
    tomorrow: at(later(now, 1), 9),
    // The next Monday, never today.
    week: at(later(now, ((8 - now.getDay()) % 7) || 7), 9),
  }
}
