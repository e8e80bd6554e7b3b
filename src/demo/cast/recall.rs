//! Threads on the recall number, which reminds patients of their next cleaning.

use super::*;

#[rustfmt::skip] // a line per text
pub const THREADS: &[Thread] = &[
    Thread {
        with: person("+16285550114", "Lena Weiss").email("lena@weiss.test"),
        texts: &[
            lin(day(186, 9, 0), "Hi Lena, it is time for your cleaning again. Which week suits you?"),
            them(then(64), "Last week of the month"),
            lin(then(20), "Tuesday 9:20 is yours."),
            lin(day(4, 9, 1), "Hi Lena, six months have passed. Your next cleaning is on Tuesday 9:20. Reply C to confirm or text us for another time."),
            them(then(88), "C"),
            them(then(1), "Thanks for the reminder"),
        ],
        ..RECALL
    },
    Thread {
        with: person("+14155550192", "Maya Okafor"),
        status: Status::Done,
        assignee: Some(Lin),
        texts: &[
            lin(day(14, 9, 2), "Hi Maya, it is time for your cleaning again. Which week suits you?"),
            them(then(31), "The week after next? I'll text the front desk for the time"),
            lin(then(9), "Perfect, they know."),
        ],
        ..RECALL
    },
    Thread {
        with: person("+15105550181", "Ivy Chen"),
        texts: &[
            lin(day(180, 9, 4), "Hi Ivy, it is time for your cleaning again. Which week suits you?"),
            them(then(140), "I moved to Portland, sorry! It was great with you"),
            lin(then(30), "All the best up there, Ivy!"),
            jo(day(9, 9, 3), "Hi Ivy, it is time for your cleaning again. Which week suits you?").but(Fate::Failed(OPTED_OUT)),
            note(Jo, then(14), "She moved, the recall list was old. Taken off it."),
        ],
        ..RECALL
    },
    Thread {
        with: person("+16505550195", "Theo Brandt").email("theo@brandt.test"),
        assignee: Some(Lin),
        unread: 3,
        texts: &[
            lin(day(12, 9, 5), "Hi Theo, it is time for your cleaning again. Which week suits you?"),
            lin(day(5, 9, 5), "Hi Theo, a second try from us. Would mornings or afternoons suit you better?"),
            them(day(2, 20, 31), "hey sorry"),
            them(then(0), "was traveling"),
            them(then(1), "mornings, any day but monday ✈️➡️🏠"),
        ],
        ..RECALL
    },
    Thread {
        with: person("+17075550133", "Amara Diallo").email("amara@diallo.test"),
        assignee: Some(Lin),
        texts: &[
            lin(day(190, 9, 3), "Hi Amara, it is time for your cleaning again. Which week suits you?"),
            them(then(22), "Any Friday before 9"),
            lin(then(6), "Friday 8:00 then."),
            them(then(1), "Great, see you"),
            lin(day(184, 12, 1), "Everything looked perfect today, Amara. Keep flossing!"),
            lin(day(6, 9, 3), "Hi Amara, it is time for your cleaning again. Which week suits you?"),
            them(then(410), "Has my insurance changed anything? I got a new card").with(INSURANCE_CARD),
            lin(day(5, 8, 20), "Thank you for the card, Amara. It still covers two cleanings a year."),
            them(then(7), "Then next Friday, early"),
            lin(then(3), "Friday 8:00. Coffee is on us ☕"),
            them(then(1), "❤️"),
        ],
        ..RECALL
    },
    Thread {
        with: person("+14155550170", "George Papadopoulos"),
        status: Status::Done,
        texts: &[
            lin(day(6, 9, 4), "Hi George, it is time for your cleaning again. Which week suits you?").but(Fate::Undelivered(NO_SUCH_NUMBER)),
            note(Lin, then(52), "Number is gone. Wrote him a letter."),
        ],
        ..RECALL
    },
    Thread {
        with: person("+16285550176", "Mei Tanaka").email("mei@tanaka.test"),
        status: Status::Done,
        assignee: Some(Lin),
        texts: &[
            lin(day(26, 9, 2), "Hi Mei, it is time for your cleaning again. Which week suits you?"),
            them(then(18), "This week already? I have Wednesday off"),
            lin(then(6), "Wednesday 14:10 just became free."),
            them(then(1), "Taken!"),
            lin(day(24, 9, 30), "A reminder: today 14:10.").but(Fate::Canceled),
            them(day(23, 10, 15), "Thanks for yesterday. Which floss was it that you recommended?"),
            lin(then(25), "The expanding one, medium. Any pharmacy has it."),
            them(then(2), "🙏"),
        ],
        ..RECALL
    },
];
