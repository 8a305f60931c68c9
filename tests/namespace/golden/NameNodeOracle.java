import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.security.PrivilegedExceptionAction;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.*;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.hdfs.protocol.*;
import org.apache.hadoop.hdfs.server.namenode.NameNode;
import org.apache.hadoop.hdfs.server.protocol.NamenodeProtocols;
import org.apache.hadoop.io.EnumSetWritable;
import org.apache.hadoop.security.UserGroupInformation;

/** Runs a real NameNode in this process and answers operations read from stdin, one a line. */
public class NameNodeOracle {
  static NamenodeProtocols rpc;

  public static void main(String[] args) throws Exception {
    Configuration conf = new Configuration();
    conf.set("fs.defaultFS", "hdfs://127.0.0.1:0");
    conf.set("dfs.namenode.http-address", "127.0.0.1:0");
    conf.set("dfs.namenode.name.dir", "file://" + args[0]);
    conf.set("dfs.namenode.safemode.extension", "0");
    conf.set("dfs.namenode.edits.noeditlogchannelflush", "true");
    conf.set("hadoop.user.group.static.mapping.overrides",
        "root=supergroup;alice=staff;bob=staff,ops");
    org.apache.hadoop.metrics2.lib.DefaultMetricsSystem.setMiniClusterMode(true);
    NameNode.format(conf);
    NameNode nn = NameNode.createNameNode(new String[0], conf);
    rpc = nn.getRpcServer();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, "UTF-8");
    out.println("ready");
    String line;
    while ((line = in.readLine()) != null) {
      final String[] f = line.split("\t", -1);
      UserGroupInformation ugi = UserGroupInformation.createUserForTesting(f[0], f[0].equals("root") ? new String[]{"supergroup"} : f[0].equals("bob") ? new String[]{"staff","ops"} : new String[]{"staff"});
      String answer;
      try {
        answer = "ok\t" + ugi.doAs((PrivilegedExceptionAction<String>) () -> run(f));
      } catch (Throwable t) {
        while (t instanceof java.lang.reflect.UndeclaredThrowableException) t = t.getCause();
        answer = "err\t" + t.getClass().getName() + "\t"
            + String.valueOf(t.getMessage()).replace('\n', ' ').replace('\t', ' ');
      }
      out.println(answer);
    }
    System.exit(0);
  }

  static FsPermission perm(String octal) { return new FsPermission((short) Integer.parseInt(octal, 8)); }

  static String show(HdfsFileStatus s) {
    if (s == null) return "null";
    return (s.isDirectory() ? "d" : "f") + " " + s.getLen() + " "
        + Integer.toOctalString(s.getPermission().toShort()) + " " + s.getOwner() + " " + s.getGroup()
        + " " + s.getReplication() + " " + s.getBlockSize() + " " + s.getChildrenNum();
  }

  static String run(String[] f) throws Exception {
    switch (f[1]) {
      case "mkdirs": return "" + rpc.mkdirs(f[2], perm(f[3]), Boolean.parseBoolean(f[4]));
      case "create": {
        EnumSet<CreateFlag> flags = EnumSet.of(CreateFlag.CREATE);
        if (Boolean.parseBoolean(f[5])) flags.add(CreateFlag.OVERWRITE);
        return show(rpc.create(f[2], perm(f[3]), f[4], new EnumSetWritable<>(flags),
            Boolean.parseBoolean(f[6]), Short.parseShort(f[7]), 1L << 20, null, "", ""));
      }
      case "complete": return "" + rpc.complete(f[2], f[3], null, 0);
      case "append": {
        LastBlockWithStatus r = rpc.append(f[2], f[3], new EnumSetWritable<>(EnumSet.of(CreateFlag.APPEND)));
        return show(r.getFileStatus());
      }
      case "delete": return "" + rpc.delete(f[2], Boolean.parseBoolean(f[3]));
      case "rename": return "" + rpc.rename(f[2], f[3]);
      case "rename2": {
        if (Boolean.parseBoolean(f[4])) rpc.rename2(f[2], f[3], Options.Rename.OVERWRITE);
        else rpc.rename2(f[2], f[3]);
        return "true";
      }
      case "chmod": rpc.setPermission(f[2], perm(f[3])); return "";
      case "chown": rpc.setOwner(f[2], f[3].isEmpty() ? null : f[3], f[4].isEmpty() ? null : f[4]); return "";
      case "times": rpc.setTimes(f[2], Long.parseLong(f[3]), Long.parseLong(f[4])); return "";
      case "setrep": return "" + rpc.setReplication(f[2], Short.parseShort(f[3]));
      case "stat": return show(rpc.getFileInfo(f[2]));
      case "list": {
        DirectoryListing l = rpc.getListing(f[2], f[3].getBytes(StandardCharsets.UTF_8), false);
        if (l == null) return "null";
        StringBuilder b = new StringBuilder();
        for (HdfsFileStatus s : l.getPartialListing()) b.append(s.getLocalName()).append(' ');
        return b.toString().trim() + "|" + l.getRemainingEntries();
      }
      case "blocks": {
        LocatedBlocks b = rpc.getBlockLocations(f[2], 0, 100);
        return b.getFileLength() + " " + b.isUnderConstruction() + " " + b.isLastBlockComplete();
      }
      case "summary": {
        ContentSummary c = rpc.getContentSummary(f[2]);
        return c.getLength() + " " + c.getFileCount() + " " + c.getDirectoryCount() + " " + c.getSpaceConsumed() + " " + c.getQuota();
      }
      case "recover": return "" + rpc.recoverLease(f[2], f[3]);
      case "truncate": return "" + rpc.truncate(f[2], Long.parseLong(f[3]), f[4]);
      case "closed": return "" + rpc.isFileClosed(f[2]);
      case "blocksize": return "" + rpc.getPreferredBlockSize(f[2]);
      case "concat": rpc.concat(f[2], f[3].split(",")); return "";
      case "fsync": rpc.fsync(f[2], 0, f[3], -1); return "";
      default: throw new IllegalStateException(f[1]);
    }
  }
}
