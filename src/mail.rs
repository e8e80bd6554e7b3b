//! Mail.

#[derive(Clone, Debug)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
}

#[derive(Clone, Default)]
pub struct Mailer;

impl Mailer {
    pub fn send(&self, mail: Mail) {
        tracing::info!(to = mail.to, "{}\n\n{}", mail.subject, mail.text);
    }
}
