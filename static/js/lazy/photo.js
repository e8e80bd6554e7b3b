import { t } from "i18n"

// Photos made small enough for a text: as JPEG, in steps of size and quality. The metadata, also the place, is lost with it.
const SIDES = [2048, 1600, 1280, 1024, 800, 640, 480]
const QUALITIES = [0.86, 0.76, 0.64]

// Returns the photo and what to say about it: `limit` is what a text may carry, of which `others` is taken. A photo that is
// small enough stays as it is, and so does one that the browser cannot read or that would not get smaller.
export async function reduced(file, limit, others) {
  // Leaves room for further photos.
  const most = Math.max(Math.min(limit / 4, (limit - others) / 2), 40_000)
  const isKnown = /^image\/(jpeg|png)$/.test(file.type)
  if (isKnown && file.size <= most) return [file, ""]
  // As it is shown: cameras store the orientation beside the picture.
  const picture = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => undefined)
  if (!picture) return [file, ""]
  try {
    const photo = await fitted(picture, most)
    if (!photo || (isKnown && photo.size >= file.size)) return [file, ""]
    const sentence = photo.size < file.size ? t("Reduced from {from} to {to}", { from: megabytes(file.size), to: megabytes(photo.size) }) : ""
    return [new File([photo], `${file.name.replace(/\.[^.]+$/, "")}.jpg`, { type: photo.type }), sentence]
  } finally {
    picture.close()
  }
}

function megabytes(bytes) {
  return new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit: "megabyte", maximumFractionDigits: bytes < 100_000 ? 2 : 1 }).format(bytes / 1_000_000).replace(" ", "\u00a0")
}

async function fitted(picture, most) {
  let smallest
  for (const side of SIDES) {
    const canvas = drawn(picture, side)
    for (const quality of QUALITIES) {
      const photo = await new Promise((done) => canvas.toBlob(done, "image/jpeg", quality))
      if (photo?.size <= most) return photo
      if (photo) smallest = photo
    }
  }
  return smallest
}

function drawn(picture, side) {
  const scale = Math.min(1, side / Math.max(picture.width, picture.height))
  const canvas = document.createElement("canvas")
  canvas.width = Math.max(1, Math.round(picture.width * scale))
  canvas.height = Math.max(1, Math.round(picture.height * scale))
  const context = canvas.getContext("2d", { alpha: false })
  // JPEG has no transparency, and black would show through.
  context.fillStyle = "#fff"
  context.fillRect(0, 0, canvas.width, canvas.height)
  context.imageSmoothingQuality = "high"
  context.drawImage(picture, 0, 0, canvas.width, canvas.height)
  return canvas
}
