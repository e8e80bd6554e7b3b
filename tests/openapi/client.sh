# client.sh FILE: makes the types of the description, and compiles a program that uses them.
set -e
mkdir -p generated
node_modules/.bin/openapi-typescript "$1" --output generated/schema.ts >&2
node_modules/.bin/tsc --project tsconfig.json
