"""Log-log plots of the losses' times."""


def plot(results, path):
    """One panel a loss: milliseconds over B, for the first width and class size."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    first = results[0]["dim"], results[0]["per_class"]
    shown = [r for r in results if (r["dim"], r["per_class"]) == first]
    names = [n for n in dict.fromkeys(r["loss"] for r in shown) if "alone" not in n]
    down = -(-len(names) // 3)
    size = 12, 3.5 * down
    figure, panels = plt.subplots(down, 3, figsize=size, sharex=True, squeeze=False)
    for name, panel in zip(names, panels.flat, strict=False):
        rows = [r for r in shown if r["loss"] == name]
        for peer in dict.fromkeys(p for r in rows for p in r.get("seconds", {})):
            points = [
                (r["size"], 1e3 * r["seconds"][peer])
                for r in rows
                if peer in r.get("seconds", {})
            ]
            style = {"lw": 2.5, "color": "black"} if peer == "JML" else {"lw": 1}
            panel.loglog(*zip(*points, strict=True), "o-", ms=3, label=peer, **style)
        panel.set_title(name)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7)
    figure.supxlabel("batch size")
    figure.supylabel("milliseconds, forward and backward")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
