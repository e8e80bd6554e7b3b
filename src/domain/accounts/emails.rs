//! E-mails about accounts, in the language of the request.

use crate::config::Config;
use crate::language::t;
use crate::mail::Mail;

pub fn verify(config: &Config, to: &str, token: &str) -> Mail {
    let link = config.public(&format!("/verify-email/{token}"));
    let text = t!(
        "Hello,\n\nplease confirm that this is your address:\n\n{link}\n\nThe link is good for a week. \
         If you did not sign up to MessageHub, you need not do anything.\n",
        link = link,
    );
    Mail {
        to: to.into(),
        subject: t!("Confirm your e-mail address").translated(),
        text: text.translated(),
    }
}

pub fn reset(config: &Config, to: &str, token: &str) -> Mail {
    let link = config.public(&format!("/reset-password/{token}"));
    let text = t!(
        "Hello,\n\nhere you can set a new password for MessageHub:\n\n{link}\n\nThe link is good for an hour, \
         and once. If you did not ask for it, you need not do anything: your password stays as it is.\n",
        link = link,
    );
    Mail {
        to: to.into(),
        subject: t!("Set a new password").translated(),
        text: text.translated(),
    }
}

/// To the owner of an account, after a sign-up attempt with its address.
pub fn known_already(config: &Config, to: &str) -> Mail {
    let (sign_in, forgot) = (config.public("/login"), config.public("/forgot-password"));
    let text = t!(
        "Hello,\n\nsomebody, perhaps you, tried to sign up to MessageHub with this address. It has an account \
         already: sign in at\n\n{sign_in}\n\nor set a new password at\n\n{forgot}\n\nIf it was not you, you need \
         not do anything.\n",
        sign_in = sign_in,
        forgot = forgot,
    );
    Mail {
        to: to.into(),
        subject: t!("You have an account already").translated(),
        text: text.translated(),
    }
}

pub fn password_changed(config: &Config, to: &str) -> Mail {
    let forgot = config.public("/forgot-password");
    let text = t!(
        "Hello,\n\nthe password of your MessageHub account was changed, and all other sessions were ended. \
         If that was not you, set a new one now:\n\n{forgot}\n",
        forgot = forgot,
    );
    Mail {
        to: to.into(),
        subject: t!("Your password was changed").translated(),
        text: text.translated(),
    }
}
