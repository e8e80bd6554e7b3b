//! Emails about accounts, in the language of the request.

use crate::config::Config;
use crate::language::t;
use crate::mail::Mail;

pub fn verify(config: &Config, to: &str, token: &str) -> Mail {
    let link = config.public(&format!("/verify-email/{token}"));
    let text = t!(
        "Hi,\n\n\
         Confirm your email address with this link:\n\n\
         {link}\n\n\
         It expires in one week. If you didn’t sign up for MessageHub, ignore this email.\n",
        link = link,
    );
    Mail {
        to: to.into(),
        subject: t!("Confirm your email address").translated(),
        text: text.translated(),
    }
}

pub fn reset(config: &Config, to: &str, token: &str) -> Mail {
    let link = config.public(&format!("/reset-password/{token}"));
    let text = t!(
        "Hi,\n\n\
         Use this link to set a new password for MessageHub:\n\n\
         {link}\n\n\
         It works once and expires in one hour. If you didn’t ask for it, ignore this email. \
         Your password stays the same.\n",
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
        "Hi,\n\n\
         Someone tried to sign up for MessageHub with this address, which already has an \
         account. If it was you, sign in here:\n\n\
         {sign_in}\n\n\
         or set a new password here:\n\n\
         {forgot}\n\n\
         If it wasn’t you, ignore this email.\n",
        sign_in = sign_in,
        forgot = forgot,
    );
    Mail {
        to: to.into(),
        subject: t!("You already have an account").translated(),
        text: text.translated(),
    }
}

pub fn password_changed(config: &Config, to: &str) -> Mail {
    let forgot = config.public("/forgot-password");
    let text = t!(
        "Hi,\n\n\
         The password of your MessageHub account was changed, and all other sessions were signed \
         out. If that wasn’t you, set a new password now:\n\n\
         {forgot}\n",
        forgot = forgot,
    );
    Mail {
        to: to.into(),
        subject: t!("Your password was changed").translated(),
        text: text.translated(),
    }
}
