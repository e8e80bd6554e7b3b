# client.sh FILE: generates types from the OpenAPI document and compiles a program that uses them.
set -e
mkdir -p generated
node_modules/.bin/openapi-typescript "$1" --output generated/schema.ts >&2
node_modules/.bin/tsc --project tsconfig.json
