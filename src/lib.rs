pub mod db {
    pub mod embedded;
}
