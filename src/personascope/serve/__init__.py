"""A server that speaks OpenAI's protocol, with a persona for each request."""
