"""GraphQL documents, read once: the portal asks the stand-ins the same few questions again and
again.
"""

from functools import lru_cache

from graphql import DocumentNode, GraphQLError, GraphQLSchema, parse, validate


@lru_cache(512)
def read(schema: GraphQLSchema, query: str) -> tuple[DocumentNode | None, list[GraphQLError]]:
    """Return the document, None where it cannot be parsed, and what is wrong with it by
    `schema`.
    """
    try:
        document = parse(query)
    except GraphQLError as error:
        return None, [error]
    return document, validate(schema, document)
