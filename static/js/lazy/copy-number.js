import { toast } from "toasts"
import { t } from "i18n"

// Copies a phone number as machines write it: +14155550192.
export async function run({ value }) {
  try {
    await navigator.clipboard.writeText(value)
    toast(document.createTextNode(t("Number copied")))
  } catch {
    toast(document.createTextNode(t("Your browser didn’t allow copying.")), { bad: true })
  }
}
