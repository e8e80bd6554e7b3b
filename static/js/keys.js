// Whether a key is that of an input method in which letters are being chosen. Safari ends a composition before it tells of
// the Enter that ended it: then only this code of old gives it away, which no real key has.
export const isComposing = (event) => event.isComposing || event.keyCode === 229
