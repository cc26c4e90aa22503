"""What the kernels of the pages read: figures are SVG, and a page's own history."""

c = get_config()
c.InlineBackend.figure_formats = {"svg"}
c.InlineBackend.print_figure_kwargs = {"bbox_inches": "tight"}
c.HistoryManager.enabled = False
c.IPKernelApp.log_level = 50  # it warns of TCP without encryption
