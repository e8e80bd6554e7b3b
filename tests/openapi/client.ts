// A program with the generated client: node client.js ADDRESS EMAIL PASSWORD
import createClient from "openapi-fetch"
import type { components, paths } from "./generated/schema.js"

type Contact = components["schemas"]["Contact"]
type Problem = components["schemas"]["Problem"]

declare const process: { argv: string[] }

const [, , baseUrl = "", email = "", password = ""] = process.argv
const client = createClient<paths>({ baseUrl })

const session = await client.POST("/api/auth/login", { body: { email, password } })
if (!session.data) throw new Error(session.error.detail)
const workspace_id = session.data.workspaces[0]?.id
if (!workspace_id) throw new Error("there is no workspace")
const headers = { Authorization: `Bearer ${session.data.access_token}` }
const path = { workspace_id }

const made = await client.POST("/api/workspaces/{workspace_id}/contacts", {
  params: { path },
  headers,
  body: { phone_number: "+14155550188", name: "Maya Okafor" },
})
if (!made.data) throw new Error(made.error.detail)
const contact: Contact = made.data

const list = await client.GET("/api/workspaces/{workspace_id}/contacts", {
  params: { path, query: { q: "maya", sort: "name", limit: 10 } },
  headers,
})
const found: Contact | undefined = list.data?.data.find(({ id }) => id === contact.id)

const refused = await client.POST("/api/workspaces/{workspace_id}/contacts", {
  params: { path },
  headers,
  body: { phone_number: "none" },
})
const problem: Problem | undefined = refused.error

console.log(`${found?.name}, ${problem?.code}`)
