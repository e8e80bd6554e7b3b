//! The migrations and functions of the database are part of the binary, and the queries' descriptions of the build: cargo does
//! not see that by itself.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=db/functions");
    println!("cargo:rerun-if-changed=.sqlx");
}
