//! The mails that accounts cause.

use crate::config::Config;
use crate::mail::Mail;

pub fn verify(config: &Config, to: &str, token: &str) -> Mail {
    let link = config.public(&format!("/verify-email/{token}"));
    Mail {
        to: to.into(),
        subject: "Confirm your e-mail address".into(),
        text: format!(
            "Hello,\n\nplease confirm that this is your address:\n\n{link}\n\nThe link is good for a week. \
             If you did not sign up to MessageHub, you need not do anything.\n"
        ),
    }
}

pub fn reset(config: &Config, to: &str, token: &str) -> Mail {
    let link = config.public(&format!("/reset-password/{token}"));
    Mail {
        to: to.into(),
        subject: "Set a new password".into(),
        text: format!(
            "Hello,\n\nhere you can set a new password for MessageHub:\n\n{link}\n\nThe link is good for an hour, \
             and once. If you did not ask for it, you need not do anything: your password stays as it is.\n"
        ),
    }
}

/// To the owner of an address that somebody tried to sign up with again.
pub fn known_already(config: &Config, to: &str) -> Mail {
    let (sign_in, forgot) = (config.public("/login"), config.public("/forgot-password"));
    Mail {
        to: to.into(),
        subject: "You have an account already".into(),
        text: format!(
            "Hello,\n\nsomebody, perhaps you, tried to sign up to MessageHub with this address. It has an account \
             already: sign in at\n\n{sign_in}\n\nor set a new password at\n\n{forgot}\n\nIf it was not you, you need \
             not do anything.\n"
        ),
    }
}

pub fn password_changed(config: &Config, to: &str) -> Mail {
    let forgot = config.public("/forgot-password");
    Mail {
        to: to.into(),
        subject: "Your password was changed".into(),
        text: format!(
            "Hello,\n\nthe password of your MessageHub account was changed, and all other sessions were ended. \
             If that was not you, set a new one now:\n\n{forgot}\n"
        ),
    }
}
