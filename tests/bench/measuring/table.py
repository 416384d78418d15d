"""Tables, as Markdown has them, so that they can be read here and put into a text."""


def number(value, digits=0):
    return "{:,.{}f}".format(value, digits)


def span(spread):
    return "%s–%s" % (number(spread.least), number(spread.most))


def ratio(value):
    return "%.2f" % value


def show(title, heads, rows, names=1):
    """A title, and rows of texts below heads. The first columns are names; the others are figures,
    to the right."""
    print("**%s**\n" % title)
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]

    def line(cells):
        return (
            "| "
            + " | ".join(
                cell.ljust(width) if i < names else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(cells, widths))
            )
            + " |"
        )

    print(line(heads))
    print(
        line(
            [
                "-" * width if i < names else "-" * (width - 1) + ":"
                for i, width in enumerate(widths)
            ]
        )
    )
    for row in rows:
        print(line(row))
    print(flush=True)
