"""What the examples of package gowsgi's documentation serve and call."""


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    user = environ.get("REMOTE_USER", "world")
    return [f"Hello, {user}, at {environ['SCRIPT_NAME']}{environ['PATH_INFO']}\n".encode()]


def total(prices, *, rate=0.0):
    return {"net": sum(prices), "gross": round(sum(prices) * (1 + rate), 2)}


def parse(text):
    return int(text)
