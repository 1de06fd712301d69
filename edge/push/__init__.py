"""Push: parcels of the outbox → a server; a parcel is forgotten only when the server keeps it.

| answer                | what happens                                                           |
|-----------------------|------------------------------------------------------------------------|
| 204                   | accepted: settled                                                      |
| 400, 422              | a line is poison: bisected out and quarantined, the rest is delivered  |
| 413                   | the body was too big: half of it next time                             |
| 401, 403, 404         | our settings are wrong: everything is kept, tried again slowly         |
| 429, 5xx, none, other | kept; back-off with jitter, Retry-After honoured                       |
"""

from edge.push.pusher import Pushed, Pusher

__all__ = ["Pushed", "Pusher"]
