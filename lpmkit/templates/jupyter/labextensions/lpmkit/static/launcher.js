/* Cards for the numbered notebooks in JupyterLab's launcher, and the keyboard for what they show: `lpmkit lab` loads this beside JupyterLab (docs/decisions/0010).

It is what a build would make of an extension that is written in one file: a container of webpack's module federation, which JupyterLab gives its shared modules
and asks for the extension. So it needs no Node, and no kernel runs before a notebook is opened. */
(() => {
  const CARDS = [
    ["10_survey_and_check.ipynb", "lpmkit: move a partition", "Survey both ends, check, ask the firmware; the first of three notebooks"],
    ["20_move_and_watch.ipynb", "lpmkit: move and watch", "The move itself, or the one that is under way"],
    ["30_verify_and_write_up.ipynb", "lpmkit: verify and write up", "The verdict, what people add, the write-up"],
    ["40_compare_runs.ipynb", "lpmkit: compare runs", "Several runs side by side, and the moves of a site over time"],
    ["50_move_it_home.ipynb", "lpmkit: move it home", "Who is away from the frame they came from, and the way back"],
    ["60_move_several.ipynb", "lpmkit: move several", "A plan of several moves: written, looked at beforehand, carried out"],
    ["00_rehearse_on_the_simulator.ipynb", "lpmkit: rehearse", "The whole move on simulated machines"],
  ];
  /* Among the notebooks, where they are seen without scrolling; cards there want a picture with an address. */
  const PICTURE = "data:image/svg+xml," + encodeURIComponent(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 22 22"><g fill="#0072b2"><path d="M2 3h18v5H2zM2 14h18v5H2z"/></g><g fill="#fff"><path d="M4 5h2v1H4zM4 16h2v1H4z"/></g><path d="M11 8.5v4m-2-1.6 2 2 2-2" fill="none" stroke="#d55e00" stroke-width="1.4"/></svg>',
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
      CARDS.forEach(([path, label, caption], rank) => {
        const command = `lpmkit:open-${path.slice(0, 2)}`;
        const execute = () => app.commands.execute("docmanager:open", { path });
        app.commands.addCommand(command, { label, caption, icon: notebookIcon, execute });
        launcher.add({ command, category: "Notebook", kernelIconUrl: PICTURE, rank: rank - CARDS.length });
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
