/* Cards for the numbered notebooks in JupyterLab's launcher, and the keyboard for what they show: `lpmkit lab` loads this beside JupyterLab (docs/decisions/0010).

It is what a build would make of an extension that is written in one file: a container of webpack's module federation, which JupyterLab gives its shared modules
and asks for the extension. So it needs no Node, and no kernel runs before a notebook is opened. */
(() => {
  const CARDS = [
    ["00_rehearse_on_the_simulator.ipynb", "00 Rehearse (2 min)", "The whole move on simulated machines", "R"],
    ["05_set_up_a_site.ipynb", "05 Set up a site", "A site file for your own machines, from the names of their managers", "+"],
    ["10_survey_and_check.ipynb", "10 Survey and check", "Survey both frames, check, validate; moves nothing", "✓"],
    ["20_move_and_watch.ipynb", "20 Move and watch", "The move itself, or the one that runs", "→"],
    ["30_verify_and_write_up.ipynb", "30 Verify, write up", "The verdict, remarks, the write-up", "✎"],
    ["40_compare_runs.ipynb", "40 Compare runs", "Several runs side by side, and the moves of a site over time", "≡"],
    ["50_move_it_home.ipynb", "50 Move it home", "Partitions that are not on their home frame, and the move home", "⌂"],
    ["60_move_several.ipynb", "60 Move several", "A plan of several moves: save it, check it, run it", "⋮"],
  ];
  /* Among the notebooks, where they are seen without scrolling; cards there want a picture with an address: two frames, and the sign of the notebook. */
  const picture = (sign) => "data:image/svg+xml," + encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 22 22"><g fill="#0072b2"><path d="M1 2h20v6H1zM1 14h20v6H1z"/></g><circle cx="11" cy="11" r="6.4" fill="#fff" stroke="#0072b2"/><text x="11" y="14.4" font-size="9.5" text-anchor="middle" font-family="sans-serif" font-weight="700" fill="#1b1f24">${sign}</text></svg>`,
  );
  let shared;

  const load = async (name) => (await Object.values(shared[name])[0].get())();

  /* JupyterLab takes plain keys for its own commands wherever nothing can be written, also on a notebook's lists, boxes and buttons: an arrow goes to the next cell, a letter deletes one.
     They belong to what has the focus; Escape gives it back to the notebook. Shift+Enter and whatever goes with Ctrl, Alt or Meta stay JupyterLab's. */
  const OURS = ".jupyter-button, .jupyter-widgets select, .jupyter-widgets input, .jupyter-widgets summary";
  const keepPlainKeys = (event) => {
    const ours = event.target.closest?.(OURS);
    if (!ours || event.ctrlKey || event.altKey || event.metaKey || (event.shiftKey && event.key === "Enter")) return;
    event.stopPropagation();
    if (event.key === "Escape") ours.closest(".jp-Notebook")?.focus();
  };

  const extension = async () => {
    const { ILauncher } = await load("@jupyterlab/launcher");
    const { notebookIcon } = await load("@jupyterlab/ui-components");
    const activate = (app, launcher) => {
      window.addEventListener("keydown", keepPlainKeys, true);
      CARDS.forEach(([path, label, caption, sign], rank) => {
        const command = `lpmkit:open-${path.slice(0, 2)}`;
        const execute = () => app.commands.execute("docmanager:open", { path });
        app.commands.addCommand(command, { label, caption, icon: notebookIcon, execute });
        launcher.add({ command, category: "Notebook", kernelIconUrl: picture(sign), rank: rank - CARDS.length });
      });
    };
    return { __esModule: true, default: { id: "lpmkit:launcher", autoStart: true, requires: [ILauncher], activate } };
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB.lpmkit = {
    init: (scope) => {
      shared = scope;
    },
    get: async () => {
      const made = await extension();
      return () => made;
    },
  };
})();
