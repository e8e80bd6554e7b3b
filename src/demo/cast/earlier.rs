//! Threads before today, on the front desk's number.

use super::*;

#[rustfmt::skip] // a line per text
pub const THREADS: &[Thread] = &[
    Thread {
        with: person("+14155550103", "Tomás Nuñez").email("tomas@nunez.test"),
        assignee: Some(Sam),
        texts: &[
            them(day(20, 9, 47), "Buenos días, necesito una limpieza para mi mamá y para mí, el mismo día si se puede"),
            sam(then(11), "¡Buenos días, Tomás! Claro que sí: el lunes a las 9:00 y 9:45."),
            them(then(6), "Perfecto, muchas gracias"),
            sam(day(13, 10, 1), "Gracias por su visita. La próxima limpieza sería en seis meses."),
            them(then(4), "Muy amables todos 😊"),
            them(day(1, 13, 18), "Hola, mi mamá tiene una muela muy inflamada. ¿Qué hacemos?"),
            sam(then(3), "Hola Tomás. ¿Tiene fiebre o le cuesta tragar? Si es así, vayan a urgencias ahora."),
            them(then(2), "No, solo dolor"),
            sam(then(4), "Entonces tráigala hoy a las 4:00. Mientras tanto, frío por fuera y nada caliente."),
            sam(day(1, 16, 22), "Los estamos esperando. ¿Vienen en camino?").but(Fate::Undelivered(OUT_OF_REACH)),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+14155550155", "Aiko Kimura").email("aiko@kimura.test"),
        assignee: Some(Lin),
        texts: &[
            them(day(1, 14, 50), "こんにちは。来週の検診の時間を変更できますか？"),
            lin(then(14), "木村さん、こんにちは。火曜日の午後3時か木曜日の午前10時はいかがですか？"),
            them(then(5), "木曜日の午前10時でお願いします。"),
            lin(then(2), "かしこまりました。木曜日の午前10時にお待ちしております。"),
            them(then(3), "ありがとうございます！"),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+16505550142", "יעל בן־דוד"),
        unread: 1,
        texts: &[
            them(day(1, 11, 5), "שלום, אפשר להעביר את התור של נועם מיום ראשון?"),
            sam(then(8), "היי יעל, בטח. יש לנו שלישי ב-16:30 או רביעי ב-9:00."),
            them(then(3), "שלישי ב-16:30 מצוין. תודה!"),
            sam(then(1), "מעולה, קבענו. נתראה ביום שלישי 😊"),
            them(then(37), "הטופס https://harbor.test/forms לא נפתח לי בטלפון, אפשר לחתום אצלכם?"),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+15105550166", "Margaret Whitfield").email("margaret.whitfield@mail.test"),
        unread: 1,
        texts: &[
            jo(day(2, 15, 30), "Hi Margaret, how did you find your first visit with us? We read every answer."),
            them(day(1, 8, 55), "Dear all, since you ask, and since I have a quiet morning, here is the long version.\n\nI had not seen a dentist in six years. The last one told me off for it, so I stayed away, which I know is silly. When I called, Jo did not ask why it had been so long. She asked which time of the day I am at my calmest. Nobody has ever asked me that. I said early, and I was given 8:00, before the drills start. That alone would have been worth the trip.\n\nDr. Lin showed me every instrument before it came near me and stopped each time I raised my hand, even the one time when I only wanted to scratch my nose. He found three small cavities and one old filling that has seen better days. He drew them for me on paper, with the prices next to them, and said that none of it was urgent and that I should sleep on it. I did, and I would like to go ahead with all four.\n\nTwo things that could be better: the music in the waiting room was rather loud for that hour, and the form on the phone asked twice for my address. The card reader did not like my card either, but Sam solved that with a smile and an old-fashioned receipt.\n\nSo: could I have two appointments of an hour each, again at 8:00, on two different weeks? Tuesdays or Wednesdays are good, the week of my grandson's graduation is not (he is the first of us to finish university, and nothing could make me miss it). I would also like to bring my neighbor along, who is more afraid than I ever was. And please tell the gentleman with the red scarf who held the door for me that I said thank you.\n\nWith kind regards to everybody,\nMargaret Whitfield"),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: unknown("OakDentLab"),
        texts: &[
            them(day(16, 17, 1), "Case 4452 (crown, shade A2) received. Expected back in 8 working days."),
            them(day(8, 17, 3), "Case 4452 shipped. Tracking OL-220-4452."),
            them(day(2, 17, 2), "Case 4471 (aligners, 14 trays) shipped. Tracking OL-221-4471."),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+14155550179", "Sam Bennett"),
        texts: &[
            jo(day(33, 10, 15), "Hi Sam, it has been a year since your last check-up. Shall we find you a time?"),
            them(then(300), "Not right now, money is tight"),
            jo(then(4), "Understood. There is a student clinic with low prices on Mondays, just ask."),
            jo(day(3, 10, 16), "Hi Sam, the student clinic has free places next Monday. Interested?"),
            them(then(11), "STOP"),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+17075550152", "Grace Holloway").email("grace@holloway.test"),
        status: Status::Pending,
        assignee: Some(Jo),
        texts: &[
            them(day(98, 10, 12), "Hello, I saw your poster about aligners. What do they cost, roughly?"),
            jo(then(9), "Hi Grace! Between $2,900 and $4,600, after a free scan. Would you like one?"),
            them(then(3), "A free scan? Sure"),
            jo(then(2), "Wednesday 17:15, it takes 20 minutes and hurts nobody."),
            them(then(1), "😂 ok"),
            lin(day(95, 18, 3), "Hi Grace, your plan is ready: 14 trays, about seven months. No teeth need to come out."),
            them(then(35), "Seven months is less than I feared. Can I pay monthly?"),
            jo(day(94, 8, 20), "Yes, 12 rates without interest. The contract is here: https://harbor.test/plans/holloway"),
            them(then(12), "I'll read it tonight"),
            them(day(92, 20, 40), "Signed!"),
            jo(day(91, 8, 5), "Wonderful, welcome to the club. Your final scan is on the 3rd, 17:00."),
            them(then(4), "👍"),
            jo(day(44, 16, 30), "Thank you for coming in today, Grace. Off to the lab it goes!"),
            them(day(40, 12, 9), "How long do the aligners take to make?"),
            jo(then(6), "About four weeks from the scan, Grace. We will text you."),
            them(then(1), "Can't wait 😁"),
            them(day(29, 18, 25), "Any news from the lab?"),
            jo(day(28, 8, 10), "They are on schedule, about ten more days."),
            jo(day(24, 9, 41), "Your aligners are in"),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+14155550125", "Noah Fischer").email("noah.fischer@mail.test"),
        status: Status::Pending,
        assignee: Some(Sam),
        texts: &[
            them(day(11, 10, 30), "Did my insurance approve the crown?"),
            sam(then(9), "Hi Noah, we sent the request on Monday. They usually take two weeks."),
            them(then(2), "Can I start before?"),
            sam(then(6), "You can, but if they refuse, the full price of $1,240 would be yours. I would wait."),
            them(then(15), "Ok, waiting then"),
            note(Sam, day(6, 9, 20), "Called Bluewater: pre-authorization in review, case 88-1207. Ask again next week."),
            sam(day(5, 9, 32), "Still in review, Noah. I am on it."),
            them(then(3), "Thanks for the update"),
            sam(day(2, 14, 5), "They asked for one more X-ray, which I have sent. I expect an answer this week.").but(Fate::Sent),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+16285550131", "Hannah Kowalski"),
        status: Status::Snoozed,
        assignee: Some(Jo),
        texts: &[
            them(day(2, 12, 12), "I can only tell next week whether I can make the 14th. Ask me then?"),
            jo(then(3), "Will do, Hannah. We hold the slot until then."),
            them(then(1), "You're the best"),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+16505550119", "Walter Pruitt"),
        assignee: Some(Sam),
        texts: &[
            note(Sam, day(5, 10, 50), "Called in, wants texts from now on. Gave this number."),
            sam(then(2), "Hello Mr. Pruitt, this is Harbor Dental. You will get our reminders here from now on.").but(Fate::Undelivered(LANDLINE)),
            note(Sam, then(5), "It is his landline. @Jo Park, please ask him for a mobile number at the next visit."),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+14155550188", "Jamal Whitaker").email("jamal@whitaker.test"),
        status: Status::Done,
        assignee: Some(Sam),
        texts: &[
            them(day(4, 13, 1), "I think I left my glasses in the waiting room. Black, round"),
            sam(then(6), "Found them! They were on the magazine table."),
            them(then(1), "Phew 😅 I pick them up after work"),
            sam(day(4, 17, 41), "Your glasses are on your nose again, and we are glad. Have a good evening!"),
            them(then(2), "😂 thank you"),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+15105550139", "Sofia Rossi").email("sofia@rossi.test"),
        status: Status::Done,
        texts: &[
            them(day(10, 9, 12), "Ciao! Do you validate parking?"),
            sam(then(5), "Ciao Sofia! Yes, two hours at the 4th Street garage. Bring the ticket to the desk."),
            them(then(1), "Perfetto"),
            sam(day(8, 15, 5), "Thank you for coming in. Here is how to care for the new filling: nothing hot or hard for two hours, and it may feel high for a day. Text us if it still does after that."),
            them(day(7, 9, 3), "All good, feels like it was always there"),
            sam(then(12), "Lovely. See you in spring!"),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+14155550107", "Ellen Marsh").email("ellen@marsh.test"),
        status: Status::Done,
        assignee: Some(Jo),
        texts: &[
            them(day(18, 16, 20), "My son (8) fell and a front tooth is loose. What do I do??"),
            jo(then(1), "Oh no. Is it a milk tooth or the new one? Is he bleeding a lot?"),
            them(then(1), "New one. A little blood"),
            jo(then(1), "Do not push it. Cold cloth outside, and come right now, we are waiting for you."),
            them(then(1), "On our way, 10 min"),
            note(Jo, then(3), "Dr. Lin is told, room 2 is free."),
            jo(day(17, 9, 2), "Good morning Ellen, how was the night?"),
            them(then(16), "He slept well. The splint bothers him but he is proud of it 💪"),
            jo(then(4), "Brave boy! Soft food for a week, check-up on Friday 3:30."),
            them(then(2), "We'll be there. THANK YOU"),
            jo(day(13, 10, 2), "A reminder of Friday 3:30. Is the splint still in place?"),
            them(then(8), "Yes! He asks whether he may eat an apple"),
            jo(then(5), "In slices, on the side teeth, and please send us a photo of the feast."),
            jo(day(11, 15, 58), "All well healed, that was quick. A medal is waiting for him at the desk 🏅"),
        ],
        ..FRONT_DESK
    },
];
