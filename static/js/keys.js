// Whether an input method consumes the key. Safari ends a composition before it fires the keydown of the Enter that
// ended it; only keyCode 229 identifies that event.
export const isComposing = (event) => event.isComposing || event.keyCode === 229
