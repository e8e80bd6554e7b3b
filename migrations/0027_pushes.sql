-- In which language a browser is told, of a member who chose none: that in which it asked for its pages; null: not known.

alter table push_subscriptions add column language text check (language ~ '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$');
