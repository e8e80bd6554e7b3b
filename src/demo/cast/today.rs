//! Threads with texts of today, on the front desk's number.

use super::*;

#[rustfmt::skip] // a line per text
pub const THREADS: &[Thread] = &[
    Thread {
        with: person("+14155550192", "Maya Okafor").email("maya@okafor.test")
            .notes("Prefers afternoons. Sensitive on the upper left: ask before the ultrasonic scaler."),
        assignee: Some(Jo),
        texts: &[
            them(day(247, 10, 4), "Hi, my name is Maya. A colleague told me about you. Are you taking new patients?"),
            jo(then(6), "Hi Maya, welcome! Yes, we are. Would a first check-up with Dr. Lin suit you?"),
            them(then(3), "Sounds good. Afternoons are easiest for me"),
            jo(then(4), "Then Tuesday 4:00 it is. Please come ten minutes early for the forms."),
            them(then(1), "See you then!"),
            them(day(241, 17, 12), "Thank you all, that was the friendliest dentist visit of my life 😄"),
            jo(then(9), "That made our day, Maya!"),
            lin(day(126, 9, 30), "Good morning Maya, your X-rays look fine. Nothing to do until the next cleaning."),
            them(then(48), "What a relief, thanks Dr. Lin"),
            jo(day(7, 11, 15), "Hi Maya, this is Harbor Dental. Your cleaning is booked for 2:00 one week from today. Reply C to confirm."),
            them(then(26), "C"),
            jo(day(1, 10, 0), "See you tomorrow at 2:00, Maya. Parking: 4th Street garage, level 1."),
            them(ago(21), "Hi! I have a cleaning at 2 today but I'm stuck at work 😬"),
            them(then(0), "Any chance of something later this afternoon?"),
            note(Jo, then(1), "Dr. Lin had a cancellation at 3:30. Offering that one."),
            jo(then(0), "No problem, Maya. Dr. Lin has 3:30 or 4:15 free. Which one suits you?"),
            jo(then(1), "Parking is on the left side this week, here is the entrance."),
            jo(then(0), "").with(ENTRANCE),
            jo(then(0), "And the map: bit.ly/harbor-p4").but(Fate::Failed(FILTERED)),
            them(then(5), "Perfect, 3:30 works. See you then"),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+14155550117", "Daniel Reyes").email("d.reyes@mail.test"),
        unread: 2,
        texts: &[
            them(day(9, 12, 40), "Hello, do you take Bluewater PPO?"),
            sam(then(7), "Hi Daniel, yes we do. Please send us the front and back of your card before your first visit."),
            them(then(2), "Great. Can I book for next week, mornings?"),
            sam(then(5), "Wednesday 8:30 with Dr. Lin?"),
            them(then(1), "Booked 👍"),
            sam(day(2, 9, 5), "Hi Daniel, a reminder of your first visit, tomorrow 8:30. We still need your insurance card."),
            them(then(190), "Oh no, can we move it to next week? Kid is sick"),
            sam(then(4), "Of course. Get well soon to the little one! Same time, one week later."),
            sam(day(1, 9, 5), "Hi Daniel, is everybody better? Your place this week is still free."),
            them(ago(16), "All healthy again, thanks for your patience"),
            them(then(1), "Can I bring my insurance card later?"),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: unknown("+14155550136"),
        unread: 1,
        texts: &[them(ago(33), "").with(RETAINER)],
        ..FRONT_DESK
    },
    Thread {
        with: person("+16505550128", "Priya Laghari").email("priya.laghari@mail.test"),
        assignee: Some(Jo),
        texts: &[
            jo(day(30, 14, 2), "Hi Priya, Dr. Lin would like to see your night guard after four weeks of use. When could you come by?"),
            them(then(75), "End of the month is best"),
            jo(then(3), "Noted, Friday the 4th week at 11:00."),
            them(then(2), "Perfect. By the way, it clicks a little when I bite down, is that normal?"),
            jo(then(26), "Dr. Lin says a soft click is fine, pain is not. Does it hurt anywhere?"),
            them(then(5), "No pain, just the click"),
            jo(then(2), "Then we look at it on Friday."),
            jo(day(8, 9, 15), "Hi Priya, a reminder of Friday 11:00. Please bring the night guard in its box."),
            them(then(55), "Will do 👍"),
            them(ago(58), "Good morning, something came up at work. Could we do another day this week?"),
            jo(then(5), "Good morning Priya! Thursday 10:00 or 15:20?"),
            them(then(4), "10:00 please"),
            jo(then(4), "We moved you to Thursday 10:00"),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+14155550148", "Layla Haddad"),
        assignee: Some(Jo),
        unread: 1,
        texts: &[
            them(ago(66), "مرحبا، انكسر التاج المؤقت هذا الصباح. هل يمكنني الحضور اليوم؟"),
            note(Jo, then(2), "Temporary crown on 14. @Dr. Lin squeezes her in at 4:15."),
            jo(then(1), "أهلاً ليلى، نأسف لذلك. لدينا موعد الساعة 4:15 مع د. لين. هل يناسبك؟"),
            them(then(3), "نعم، شكراً جزيلاً 🙏"),
            jo(then(1), "تمام، نراكِ الساعة 4:15."),
            them(then(6), "هل أحضر التاج معي؟"),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+15105550173", "Rosalind Featherstonehaugh-Montgomery de la Croix").email("rosalind.featherstonehaugh-montgomery@delacroix.test"),
        assignee: Some(Sam),
        texts: &[
            them(day(12, 15, 31), "Good afternoon. Would you kindly send the invoice for my husband's implant to our insurer directly?"),
            sam(then(18), "Good afternoon! Happy to. Which insurer and member number, please?"),
            them(then(7), "Golden Gate Mutual, GGM-4471-0093."),
            sam(then(3), "Thank you, it goes out today."),
            them(ago(82), "The insurer tells me that nothing has arrived?"),
            sam(then(9), "I am sorry. I have the fax receipt here and have just sent it once more, with the X-rays this time."),
            them(then(2), "Much obliged."),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: unknown("72645"),
        unread: 1,
        texts: &[
            them(day(15, 8, 2), "Bluewater Provider Portal: your sign-in code is 481 207. It expires in 10 minutes. We will never call you for it."),
            them(ago(94), "Bluewater Provider Portal: your sign-in code is 930 664. It expires in 10 minutes. We will never call you for it."),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+17075550110", "Kofi Mensah"),
        texts: &[them(ago(101), "🦷")],
        ..FRONT_DESK
    },
    Thread {
        with: person("+16285550187", "Carla Jiménez").email("carla@jimenez.test"),
        assignee: Some(Jo),
        texts: &[
            them(day(3, 16, 44), "Hi! Is the whitening kit back in stock?"),
            jo(then(8), "Hi Carla, we expect it within the week. Shall I put one aside for you?"),
            them(then(2), "Yes please 🤍"),
            jo(ago(108), "It's here, with your name on it. We are open until 6.").but(Fate::Unconfirmed),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+14155550161", "Oscar Lindqvist").email("oscar@lindqvist.test"),
        assignee: Some(Lin),
        texts: &[
            them(day(5, 19, 20), "Dr. Lin, the tooth at the back still hurts when I drink something cold"),
            lin(day(4, 8, 12), "Good morning Oscar. Since when, and does the pain stay after you swallow?"),
            them(then(22), "About ten days. It stays for maybe a minute"),
            lin(then(5), "Then I want to see it. Could you come today at 1:45? We take one X-ray."),
            them(then(2), "I'll be there"),
            note(Lin, day(4, 14, 20), "36 distal: deep caries, close to the pulp. Discussed root canal against indirect cap, he wants to think about it."),
            lin(ago(171), "Hello Oscar, as promised, here is your X-ray. The dark spot below the filling is what hurts.").with(X_RAY),
            lin(then(1), "The cap takes one visit of 50 minutes, the root canal two of 80. I would try the cap first."),
            them(then(41), "Thank you for explaining it so well. Let's do the cap 👍"),
            lin(then(3), "Good choice. Jo will find a time with you."),
        ],
        ..FRONT_DESK
    },
    Thread {
        with: person("+15105550104", "Ben Adeyemi").email("ben@adeyemi.test"),
        status: Status::Pending,
        assignee: Some(Jo),
        texts: &[
            them(day(6, 11, 2), "Hi, I am told there are forms to fill in before the first visit?"),
            jo(then(4), "Hi Ben, yes, here they are: https://harbor.test/forms/new-patient?lang=en&ref=text (5 minutes)"),
            them(then(33), "Done. The last page shows an error: https://harbor.test/forms/new-patient/consent-to-treatment-and-privacy-practices/step-7?session=9f1c2a7be04d4b7c8a55d0f2f6d1c3aa&return=https%3A%2F%2Fharbor.test%2Fthanks"),
            jo(then(12), "Thank you for telling us! Everything arrived except the signature. You can sign here on the day."),
            them(then(1), "Ok 👌"),
            jo(ago(139), "Ben, Bluewater asks for your date of birth as on the card. Could you text it to us?"),
        ],
        ..FRONT_DESK
    },
];
