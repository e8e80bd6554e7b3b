// The emojis of the picker, chosen by hand: one a line, then its names in English and in Spanish.
export const GROUPS = `
# Smileys|Caritas
😀 grinning, happy|sonrisa, feliz
😃 smiling, open mouth|sonriente, boca abierta
😄 laughing eyes, happy|ojos risueños, feliz
😁 beaming|radiante
😆 laughing hard|carcajada
😅 sweating, relieved|sudor, alivio
🤣 rolling on the floor|muerto de risa
😂 tears of joy|lágrimas de alegría
🙂 slight smile|sonrisa leve
🙃 upside down|al revés
😉 wink|guiño
😊 blushing, smile|sonrojo, sonrisa
😇 halo, angel|aureola, ángel
🥰 in love, hearts|enamorado, corazones
😍 heart eyes|ojos de corazón
🤩 starstruck|deslumbrado, estrellas
😘 blowing a kiss|lanzando un beso
😋 yum, delicious|rico, delicioso
😜 winking tongue|lengua y guiño
🤪 zany, crazy|loco
🤗 hug|abrazo
🤭 oops, hand over mouth|ups, mano en la boca
🤫 quiet, shh|silencio
🤔 thinking|pensando
🫡 salute|saludo militar
🤐 zipped mouth|boca cerrada
😐 neutral|neutral
😏 smirk|sonrisa pícara
🙄 rolling eyes|ojos en blanco
😬 grimace|mueca
😌 relieved, calm|aliviado, tranquilo
😔 sad, pensive|triste, pensativo
😴 sleeping|durmiendo
😷 mask, sick|mascarilla, enfermo
🤒 thermometer, fever|termómetro, fiebre
🤕 bandage, hurt|venda, herido
🤢 nauseated|náuseas
🤧 sneezing, cold|estornudo, resfriado
🥵 hot|calor
🥶 cold, freezing|frío, helado
😵 dizzy|mareado
🤯 mind blown|alucinado
🥳 party|fiesta
😎 cool, sunglasses|genial, gafas de sol
🤓 nerd|empollón
😕 confused|confundido
😟 worried|preocupado
🙁 frown|ceño
😮 surprised|sorprendido
😲 astonished|asombrado
😳 flushed|ruborizado
🥺 pleading, please|por favor, suplicante
😢 crying|llorando
😭 sobbing|llorando a mares
😱 scream|grito
😞 disappointed|decepcionado
😓 sweat, tired|sudor, cansado
😩 weary|agotado
🥱 yawn|bostezo
😤 huffing|resoplido
😠 angry|enfadado
😡 furious|furioso
😈 devil|diablo
💀 skull|calavera
💩 poop|caca
🤖 robot|robot
👻 ghost|fantasma
# Gestures and people|Gestos y personas
👍 thumbs up, yes, ok|pulgar arriba, sí, vale
👎 thumbs down, no|pulgar abajo, no
👌 ok hand|vale, de acuerdo
🙏 please, thank you, folded hands|por favor, gracias, manos juntas
👏 clapping|aplauso
🙌 raised hands, hooray|manos arriba, hurra
👋 waving, hello, bye|saludo, hola, adiós
🤝 handshake, deal|apretón de manos, trato
✌️ victory, peace|victoria, paz
🤞 fingers crossed, luck|dedos cruzados, suerte
🤟 love you|te quiero
🤙 call me|llámame
👈 left|izquierda
👉 right|derecha
👆 up|arriba
👇 down|abajo
☝️ one, attention|uno, atención
✋ stop, hand|alto, mano
🖐️ five, open hand|cinco, mano abierta
👊 fist bump|puño
✊ raised fist|puño en alto
💪 strong, muscle|fuerte, músculo
🫶 heart hands|manos de corazón
✍️ writing|escribiendo
💅 nail polish|esmalte de uñas
🤳 selfie|selfi
👀 eyes, looking|ojos, mirando
👁️ eye|ojo
👂 ear|oreja
👃 nose|nariz
👄 mouth|boca
🦷 tooth|diente, muela
🧠 brain|cerebro
🙋 raising hand, question|levanta la mano, pregunta
🤷 shrug|encogerse de hombros
🤦 facepalm|mano en la cara
🙇 bow, sorry|reverencia, perdón
💁 information|información
🙆 ok gesture|gesto de acuerdo
🙅 no gesture|gesto de no
🚶 walking|caminando
🏃 running|corriendo
💃 dancing|bailando
🧑‍⚕️ health worker, doctor|sanitario, médico
🧑‍🔧 mechanic|mecánico
🧑‍🍳 cook|cocinero
🧑‍🏫 teacher|profesor
🧑‍💻 at the computer|con el ordenador
👶 baby|bebé
👪 family|familia
👵 grandmother|abuela
👴 grandfather|abuelo
🎅 Santa Claus|Papá Noel
# Hearts and signs|Corazones y signos
❤️ red heart, love|corazón rojo, amor
🧡 orange heart|corazón naranja
💛 yellow heart|corazón amarillo
💚 green heart|corazón verde
💙 blue heart|corazón azul
💜 purple heart|corazón morado
🖤 black heart|corazón negro
🤍 white heart|corazón blanco
💔 broken heart|corazón roto
💕 two hearts|dos corazones
💖 sparkling heart|corazón brillante
💯 hundred|cien
💥 boom|explosión
💫 dizzy star|estrella giratoria
✨ sparkles|destellos
⭐ star|estrella
🌟 glowing star|estrella brillante
🔥 fire|fuego
💤 sleep, zzz|sueño, zzz
💬 speech bubble|bocadillo, mensaje
💭 thought|pensamiento
✅ check, done|marca, hecho
☑️ ticked box|casilla marcada
✔️ check mark|visto bueno
❌ cross, wrong|cruz, mal
❗ exclamation|exclamación
❓ question|pregunta
‼️ double exclamation|doble exclamación
⚠️ warning|advertencia
🚫 forbidden|prohibido
⛔ no entry|prohibido el paso
🔴 red circle|círculo rojo
🟠 orange circle|círculo naranja
🟡 yellow circle|círculo amarillo
🟢 green circle|círculo verde
🔵 blue circle|círculo azul
➡️ arrow right|flecha derecha
⬅️ arrow left|flecha izquierda
⬆️ arrow up|flecha arriba
⬇️ arrow down|flecha abajo
🔄 refresh|actualizar
♻️ recycling|reciclaje
ℹ️ information|información
🆗 ok button|botón ok
🆕 new|nuevo
🆓 free|gratis
🔝 top|superior
1️⃣ one|uno
2️⃣ two|dos
3️⃣ three|tres
# Animals and nature|Animales y naturaleza
🐶 dog|perro
🐱 cat|gato
🐰 rabbit|conejo
🐻 bear|oso
🐼 panda|panda
🦊 fox|zorro
🦁 lion|león
🐷 pig|cerdo
🐮 cow|vaca
🐴 horse|caballo
🐔 chicken|gallina
🐧 penguin|pingüino
🐦 bird|pájaro
🦉 owl|búho
🐢 turtle|tortuga
🐟 fish|pez
🐳 whale|ballena
🐬 dolphin|delfín
🐝 bee|abeja
🦋 butterfly|mariposa
🐞 ladybug|mariquita
🐾 paws|huellas
🌸 cherry blossom|flor de cerezo
🌹 rose|rosa
🌷 tulip|tulipán
🌻 sunflower|girasol
💐 bouquet|ramo de flores
🌱 seedling|brote
🌲 tree|árbol
🌴 palm|palmera
🌵 cactus|cactus
🍀 clover, luck|trébol, suerte
🍁 maple leaf, autumn|hoja de arce, otoño
🍂 fallen leaves|hojas caídas
☀️ sun|sol
🌤️ mostly sunny|casi despejado
☁️ cloud|nube
🌧️ rain|lluvia
⛈️ thunderstorm|tormenta
❄️ snow|nieve
⛄ snowman|muñeco de nieve
🌈 rainbow|arcoíris
🌊 wave, sea|ola, mar
🌍 earth|tierra, mundo
🌙 moon|luna
⚡ lightning|rayo
# Food and drink|Comida y bebida
🍎 apple|manzana
🍌 banana|plátano
🍇 grapes|uvas
🍓 strawberry|fresa
🍉 watermelon|sandía
🍊 orange|naranja
🍋 lemon|limón
🍍 pineapple|piña
🥑 avocado|aguacate
🍅 tomato|tomate
🥕 carrot|zanahoria
🌽 corn|maíz
🥗 salad|ensalada
🍞 bread|pan
🥐 croissant|cruasán
🧀 cheese|queso
🥚 egg|huevo
🥓 bacon|beicon
🍔 burger|hamburguesa
🍟 fries|patatas fritas
🍕 pizza|pizza
🌭 hot dog|perrito caliente
🥪 sandwich|sándwich
🌮 taco|taco
🌯 burrito|burrito
🍝 pasta|pasta
🍣 sushi|sushi
🍜 noodles|fideos
🍦 ice cream|helado
🍩 doughnut|dónut
🍪 cookie|galleta
🎂 birthday cake|tarta de cumpleaños
🍰 cake|pastel
🍫 chocolate|chocolate
🍿 popcorn|palomitas
☕ coffee|café
🍵 tea|té
🥛 milk|leche
🍺 beer|cerveza
🍻 cheers, beers|salud, cervezas
🍷 wine|vino
🥂 toast, champagne|brindis, champán
🍽️ plate, meal|plato, comida
# Activities and travel|Actividades y viajes
🎉 party popper, congratulations|fiesta, felicidades
🎊 confetti|confeti
🎈 balloon|globo
🎁 gift, present|regalo
🏆 trophy|trofeo
🥇 gold medal|medalla de oro
⚽ football, soccer|fútbol
🏀 basketball|baloncesto
🏈 American football|fútbol americano
⚾ baseball|béisbol
🎾 tennis|tenis
🏋️ weights, gym|pesas, gimnasio
🧘 yoga|yoga
🚴 cycling|ciclismo
🏊 swimming|natación
🎮 video game|videojuego
🎲 dice|dado
🎯 bullseye, target|diana, objetivo
🎵 music note|nota musical
🎤 microphone|micrófono
🎧 headphones|auriculares
🎨 art, paint|arte, pintura
🎬 film|cine
📷 camera|cámara
🚗 car|coche
🚕 taxi|taxi
🚌 bus|autobús
🚑 ambulance|ambulancia
🚚 truck, delivery|camión, entrega
🚲 bicycle|bicicleta
🚆 train|tren
✈️ airplane|avión
🚀 rocket|cohete
⛵ sailboat|velero
🅿️ parking|aparcamiento
⛽ fuel|gasolina
🚦 traffic light|semáforo
🗺️ map|mapa
📍 location pin|ubicación
🏠 house, home|casa, hogar
🏢 office|oficina
🏥 hospital|hospital
🏫 school|escuela
🏦 bank|banco
🏪 shop|tienda
🏨 hotel|hotel
⛪ church|iglesia
🏖️ beach|playa
⛰️ mountain|montaña
# Objects|Objetos
📱 mobile phone|móvil
☎️ telephone|teléfono
📞 receiver, call|auricular, llamada
💻 laptop|portátil
🖨️ printer|impresora
⌚ watch|reloj de pulsera
⏰ alarm clock|despertador
⏳ hourglass, waiting|reloj de arena, espera
🕐 clock, one o'clock|reloj, la una
📅 calendar, date|calendario, fecha
🗓️ appointment|cita, agenda
📌 pin|chincheta
📎 paperclip|clip
✏️ pencil|lápiz
📝 note, form|nota, formulario
📄 document|documento
📋 clipboard|portapapeles
📁 folder|carpeta
📈 chart up|gráfico al alza
📉 chart down|gráfico a la baja
📧 email|correo electrónico
✉️ envelope, letter|sobre, carta
📦 package|paquete
📬 mailbox|buzón
🔔 bell|campana
🔕 no bell|sin avisos
📣 megaphone|megáfono
🔍 search|buscar, lupa
🔑 key|llave
🔒 locked|cerrado con candado
🔓 unlocked|candado abierto
💡 idea, light bulb|idea, bombilla
🔧 wrench, repair|llave inglesa, reparar
🔨 hammer|martillo
⚙️ gear|engranaje
🧹 broom, cleaning|escoba, limpieza
🧼 soap|jabón
🪥 toothbrush|cepillo de dientes
💊 pill, medicine|pastilla, medicina
💉 injection, vaccine|inyección, vacuna
🩺 stethoscope|estetoscopio
🩹 plaster, bandage|tirita
🌡️ thermometer|termómetro
👓 glasses|gafas
👕 shirt|camiseta
👟 shoe|zapatilla
👜 handbag|bolso
🎓 graduation|graduación
💍 ring|anillo
💄 lipstick|pintalabios
☂️ umbrella|paraguas
🛒 shopping cart|carrito de compra
💳 card|tarjeta
💵 money, dollars|dinero, dólares
💶 euros|euros
💰 money bag|bolsa de dinero
🧾 receipt, bill|recibo, factura
🏷️ label, price|etiqueta, precio
🛏️ bed|cama
🛋️ sofa|sofá
🚿 shower|ducha
🗑️ bin|papelera
`.trim().split("# ").slice(1).map((group) => {
  const [title, ...lines] = group.trim().split("\n")
  return {
    names: title.split("|"),
    emojis: lines.map((line) => {
      const at = line.indexOf(" ")
      return { emoji: line.slice(0, at), names: line.slice(at + 1).split("|") }
    }),
  }
})
